// Holds custom resources against their models, twice: the model's validator checks values, and the TypeScript compiler
// refuses fields that the type does not have (the validators, like the API server, ignore those).
//
//   node check.mjs CUSTOM.JSON    a list of {where, object}, from ../kubernetes.py
import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

const PACKAGES = {
  "external-secrets.io": "@kubernetes-models/external-secrets",
  "gateway.networking.k8s.io": "@kubernetes-models/gateway-api",
  "keda.sh": "@kubernetes-models/keda",
  "monitoring.coreos.com": "@kubernetes-models/prometheus-operator",
};
const WATCHED = ["ExternalSecret", "HTTPRoute", "ScaledObject", "PodMonitor", "PrometheusRule"];

const moduleOf = ({ apiVersion, kind }) => `${PACKAGES[apiVersion.split("/")[0]]}/${apiVersion}/${kind}`;

async function valueFaults({ where, object }) {
  try {
    const { [object.kind]: Model } = await import(moduleOf(object));
    new Model(object).validate();
    return [];
  } catch (error) {
    return [`${where}: ${error.message}`];
  }
}

// One file for all objects: the compiler reads each type once.
function typeFaults(entries) {
  const lines = [];
  entries.forEach(({ object }, index) => {
    lines.push(`import type { I${object.kind} as T${index} } from "${moduleOf(object)}";`);
  });
  const first = lines.length;
  entries.forEach(({ object }, index) => {
    lines.push(`const o${index}: T${index} = ${JSON.stringify(object)}; void o${index};`);
  });
  const name = join(import.meta.dirname, "objects.ts");
  const options = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: [],
  };
  const host = ts.createCompilerHost(options);
  const read = host.getSourceFile;
  host.getSourceFile = (file, ...rest) =>
    file === name ? ts.createSourceFile(file, lines.join("\n"), ts.ScriptTarget.ES2022) : read(file, ...rest);
  const exists = host.fileExists;
  host.fileExists = (file) => file === name || exists(file);
  const program = ts.createProgram([name], options, host);
  return ts.getPreEmitDiagnostics(program).map((found) => {
    const message = ts.flattenDiagnosticMessageText(found.messageText, " ");
    if (!found.file || found.file.fileName !== name) return `compiler: ${message}`;
    const { line } = ts.getLineAndCharacterOfPosition(found.file, found.start);
    return `${entries[line - first]?.where ?? "an import"}: ${message}`;
  });
}

// That both halves can fail: a wrong value for the one, an unknown field for the other.
async function controlFaults(entries) {
  const faults = [];
  const good = entries.find(({ object }) => object.kind === "ScaledObject");
  const wrong = structuredClone(good);
  wrong.object.spec.minReplicaCount = "three";
  const [refused] = await valueFaults(wrong);
  if (!refused?.includes("minReplicaCount")) faults.push("control: a wrong value was not refused");
  const unknown = structuredClone(good);
  unknown.object.spec.minimumReplicas = 3;
  if (!typeFaults([unknown])[0]?.includes("minimumReplicas")) faults.push("control: an unknown field was not refused");
  return faults;
}

const entries = JSON.parse(readFileSync(process.argv[2], "utf8"));
const values = await Promise.all(entries.map(valueFaults));
const faults = [...values.flat(), ...typeFaults(entries), ...(await controlFaults(entries))];
for (const kind of WATCHED) {
  if (!entries.some(({ object }) => object.kind === kind)) faults.push(`no ${kind} was rendered`);
}
for (const fault of faults) console.error(fault);
console.log(`crds: ${entries.length} objects of ${new Set(entries.map(({ object }) => object.kind)).size} kinds`);
process.exit(faults.length === 0 ? 0 : 1);
