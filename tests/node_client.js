// A foreign client: reads the proto files, submits a signal over mutual TLS, checks the seller, and reads what is told of errors.
//
// Usage: node node_client.js PROTO_FOLDER ADDRESS SERVER_NAME CA CERTIFICATE KEY

"use strict";

const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [protos, address, serverName, ca, certificate, key] = process.argv.slice(2);
const files = ["signal", "screening", "node"].map((name) => `countermark/v1/${name}.proto`);
const definition = loader.loadSync(files, { includeDirs: [protos], keepCase: true, longs: Number, enums: String, oneofs: true });
const { v1 } = grpc.loadPackageDefinition(definition).countermark;
const credentials = grpc.credentials.createSsl(readFileSync(ca), readFileSync(key), readFileSync(certificate));
const options = { "grpc.ssl_target_name_override": serverName, "grpc.default_authority": serverName };
const deadline = () => ({ deadline: Date.now() + 20_000 });

const signals = new v1.SignalService(address, credentials, options);
const screening = new v1.ScreeningService(address, credentials, options);
const node = new v1.NodeService(address, credentials, options);

function call(service, method, request) {
  return new Promise((resolve, reject) => {
    service[method](request, deadline(), (error, response) => (error ? reject(error) : resolve(response)));
  });
}

// One response a request, in order, over a two-way stream.
function stream(service, method, requests) {
  return new Promise((resolve, reject) => {
    const rows = service[method](deadline());
    const answers = [];
    rows.on("data", (answer) => answers.push(answer));
    rows.on("error", reject);
    rows.on("end", () => resolve(answers));
    requests.forEach((request) => rows.write(request));
    rows.end();
  });
}

const phone = { kind: "IDENTIFIER_KIND_PHONE", value: "+1 202 555 0144" };
const statement = {
  infringement: "INFRINGEMENT_TRADEMARK_COUNTERFEIT",
  evidence: [{ kind: "EVIDENCE_KIND_COURT_JUDGMENT" }],
};
const submission = (audience, identifiers) => ({ submission: { audience, identifiers, statement } });

async function main() {
  const { receipt } = await call(signals, "SubmitSignal", submission("all", [phone]));
  assert.ok(receipt.created);
  assert.equal(receipt.status, "SIGNAL_STATUS_CONFIRMED");
  const { answer } = await call(screening, "CheckSeller", { identifiers: [phone] });
  assert.deepEqual(answer.own.map((match) => match.signal), [receipt.signal]);
  assert.equal(answer.verdict, "VERDICT_CONFIRMED");

  const domains = ["first-node-outlet.test", "no domain", "third-node-outlet.test"];
  const rows = domains.map((value) => submission("all", [{ kind: "IDENTIFIER_KIND_DOMAIN", value }]));
  const submitted = await stream(signals, "SubmitSignals", rows);
  assert.deepEqual(submitted.map((row) => row.result), ["receipt", "error", "receipt"]);
  assert.equal(submitted[1].error.field, "identifiers[0].value");
  const asked = domains.map((value) => ({ identifiers: [{ kind: "IDENTIFIER_KIND_DOMAIN", value }] }));
  const answers = await stream(screening, "CheckSellers", asked);
  assert.deepEqual(answers.map((row) => row.result), ["answer", "error", "answer"]);
  assert.ok(answers[0].freshness, "the first answer says how fresh it is");

  await assert.rejects(call(signals, "SubmitSignal", submission("", [phone])), (error) => {
    assert.equal(error.code, grpc.status.INVALID_ARGUMENT);
    const [details] = error.metadata.get("grpc-status-details-bin");
    assert.ok(details.includes("AUDIENCE_INVALID"));
    return true;
  });
  const status = await call(node, "GetStatus", {});
  assert.equal(status.own_live_signals, 3);
  console.log("the Node.js client is content");
}

main()
  .then(() => [signals, screening, node].forEach((service) => service.close()))
  .catch((error) => {
    console.error(error);
    process.exit(1);
  });
