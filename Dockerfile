# syntax=docker/dockerfile:1
# One image for all: `serve` (the default), `prepare` (the step before an upgrade), and every other command of manage.py.
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /build
COPY requirements.txt .
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes --no-deps -r requirements.txt

FROM python:3.11.14-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin oneapi \
    && install -d -o oneapi -g oneapi -m 0750 /data
COPY --from=build /venv /venv
COPY . /app
RUN python -m compileall -q /app
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    SQLITE_PATH=/data/one-api.db LOG_DIR=/data/logs
WORKDIR /data
USER 10001
VOLUME /data
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-c", \
    "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ.get('PORT') or 3000}/healthz\", timeout=4)"]
STOPSIGNAL SIGTERM
# Longer than DRAIN_TIMEOUT + GRACEFUL_TIMEOUT: run with --stop-timeout 60, or streams are cut off.
ENTRYPOINT ["python", "/app/manage.py"]
CMD ["serve"]
