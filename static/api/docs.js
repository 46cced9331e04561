"use strict";
// The page's policy allows no script inside it, so the viewer is started from here.
const place = document.getElementById("api-docs");
window.SwaggerUIBundle({ url: place.dataset.schema, domNode: place, validatorUrl: null, deepLinking: true });
