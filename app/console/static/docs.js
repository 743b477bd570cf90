// Shows the OpenAPI document at /docs. No validator is asked: it would be a foreign host.
"use strict";

SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null });
