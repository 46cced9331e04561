import pytest

pytest.register_assert_rewrite("tests.relay.wire.cases")
