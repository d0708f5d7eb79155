// Shows /openapi.json and lets one try it. Everything from the description is inserted as text, never as HTML.
"use strict";

function element(name, properties, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

function typeOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.oneOf) return schema.oneOf.map(typeOf).join(" or ");
  if (schema.type === "array") return typeOf(schema.items) + "[]";
  if (schema.additionalProperties) return "{key: " + typeOf(schema.additionalProperties) + "}";
  return [].concat(schema.type || "any").join(" or ");
}

function table(rows) {
  return element("table", {}, ...rows.map((cells) =>
    element("tr", {}, ...cells.map((cell) => element("td", {}, cell)))));
}

function shape(schema) {
  const required = new Set(schema.required || []);
  return table(Object.entries(schema.properties || {}).map(([name, property]) => [
    element("code", { textContent: required.has(name) ? name : name + "?" }),
    typeOf(property),
    property.description || "",
  ]));
}

function example(schema, schemas) {
  const target = schema && schema.$ref ? schemas[typeOf(schema)] : schema || {};
  const required = new Set(target.required || []);
  const fields = Object.entries(target.properties || {}).filter(([name]) => required.has(name));
  return Object.fromEntries(fields.map(([name, property]) => [name, property.type === "array" ? [] : ""]));
}

async function send(method, path, inputs, body, output) {
  const query = new URLSearchParams();
  for (const { parameter, input } of inputs) {
    if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (input.value !== "") query.set(parameter.name, input.value);
  }
  const headers = {};
  const token = document.getElementById("token").value.trim();
  if (token) headers.Authorization = "Bearer " + token;
  if (body) headers["Content-Type"] = "application/json";
  const target = path + (query.size ? "?" + query : "");
  try {
    const answer = await fetch(target, { method: method.toUpperCase(), headers, body: body ? body.value : undefined });
    const text = await answer.text();
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: shown as it is */ }
    output.textContent = `${answer.status} ${answer.statusText}\n${answer.headers.get("link") || ""}\n${shown}`;
  } catch (error) {
    output.textContent = String(error);
  }
}

function operationView(method, path, operation, schemas) {
  const content = operation.requestBody && operation.requestBody.content["application/json"];
  const inputs = (operation.parameters || []).map((parameter) => ({
    parameter,
    input: element("input", { spellcheck: false, autocomplete: "off" }),
  }));
  const body = content && element("textarea", {
    rows: 4, spellcheck: false, value: JSON.stringify(example(content.schema, schemas), null, 2),
  });
  const output = element("pre", { hidden: true });
  const button = element("button", { type: "button", textContent: "Send" });
  button.addEventListener("click", () => {
    output.hidden = false;
    output.textContent = "…";
    send(method, path, inputs, body, output);
  });
  const answers = Object.entries(operation.responses || {}).map(([status, answer]) => {
    const json = answer.content && answer.content["application/json"];
    return [element("code", { textContent: status }), typeOf(json && json.schema), answer.description || ""];
  });
  return element("details", {},
    element("summary", {},
      element("span", { className: "method", textContent: method }),
      element("code", { textContent: path }), " ", operation.summary || operation.description || "",
      operation.security && operation.security.some((needed) => !Object.keys(needed).length)
        ? element("span", { className: "open", textContent: " (no token needed)" }) : ""),
    ...inputs.map(({ parameter, input }) => element("label", {},
      element("code", { textContent: parameter.name + (parameter.required ? "" : "?") }),
      " ", parameter.description || "", input)),
    ...(body ? [element("label", {}, "Body: ", typeOf(content.schema), body)] : []),
    table(answers), button, output);
}

async function show() {
  const description = await (await fetch("/openapi.json")).json();
  const schemas = (description.components && description.components.schemas) || {};
  document.getElementById("version").textContent = description.info.version;
  document.getElementById("description").textContent = description.info.description || "";
  const groups = new Map();
  for (const [path, item] of Object.entries(description.paths)) {
    for (const method of ["get", "post", "patch", "delete"]) {
      if (!item[method]) continue;
      const tag = (item[method].tags || ["other"])[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(operationView(method, path, item[method], schemas));
    }
  }
  const sections = [...groups].map(([tag, views]) =>
    element("section", {}, element("h2", { textContent: tag }), ...views));
  document.getElementById("operations").replaceChildren(...sections);
  const shapes = Object.entries(schemas).map(([name, schema]) =>
    element("details", {}, element("summary", {}, element("code", { textContent: name })), shape(schema)));
  document.getElementById("schemas").replaceChildren(...shapes);
}

show().catch((error) => {
  document.getElementById("operations").textContent = "The description could not be read: " + error;
});
