// Puts a file of backup.js into an empty database. For mongosh.
// The address may also be in a file, which MONGODB_URI_FILE names.
//
//   MONGODB_URI=mongodb://…/hobnob_restored BACKUP_FILE=/backup/name.jsonl.gz mongosh --nodb --quiet --file restore.js
//
// Looks at the whole file first, and writes nothing when it is cut off or the database holds anything. Indexes are not in
// the file: `hobnob migrate` makes them afterwards, and would refuse doubles.
const fs = require("fs");
const readline = require("readline");
const zlib = require("zlib");

const FORMAT = "hobnob backup 1";
const BATCH = 1000;

const uri = process.env.MONGODB_URI ?? fs.readFileSync(process.env.MONGODB_URI_FILE, "utf8").trim();
const connection = new Mongo(uri);
const name = new URL(uri.replace(/^mongodb(\+srv)?:\/\/[^/]*/, "x://x")).pathname.slice(1);
const database = connection.getDB(name);

// Calls `take` with each line's value, and waits for it.
async function read(take) {
  const text = fs.createReadStream(process.env.BACKUP_FILE).pipe(zlib.createGunzip());
  for await (const line of readline.createInterface({ input: text, crlfDelay: Infinity })) {
    await take(EJSON.parse(line, { relaxed: false }));
  }
}

async function examine() {
  let head = null;
  let end = null;
  const counts = {};
  await read((value) => {
    if (head === null) {
      head = value;
      if (head.format !== FORMAT) throw new Error(`not a ${FORMAT}`);
      for (const collection of head.collections) counts[collection] = 0;
    } else if (value.end) {
      end = value;
    } else {
      counts[value.c] += 1;
    }
  });
  if (end === null) throw new Error("the file is cut off");
  for (const [collection, count] of Object.entries(end.counts)) {
    if (Number(count) !== counts[collection]) throw new Error(`${collection}: ${counts[collection]} of ${count} documents`);
  }
  return counts;
}

async function insert(collection, documents) {
  if (documents.length === 0) return;
  const writeConcern = { w: "majority", j: true };
  const answer = await database.runCommand({ insert: collection, documents, ordered: false, writeConcern });
  if (answer.ok !== 1 || answer.n !== documents.length) throw new Error(EJSON.stringify(answer));
}

async function restore() {
  let collection = null;
  let documents = [];
  await read(async (value) => {
    if (!value.c) return;
    if (value.c !== collection || documents.length === BATCH) {
      await insert(collection, documents);
      documents = [];
      collection = value.c;
    }
    documents.push(value.d);
  });
  await insert(collection, documents);
}

async function main() {
  const held = await database.getCollectionNames();
  if (held.length > 0) throw new Error(`the database ${name} is not empty: ${held.join(", ")}`);
  const counts = await examine();
  await restore();
  return counts;
}

// mongosh does not wait for promises at the end of a file, and has no top-level await; its sleep lets them go on.
let outcome = null;
main().then(
  (counts) => (outcome = { counts }),
  (error) => (outcome = { error }),
);
while (outcome === null) sleep(20);
if (outcome.error) throw outcome.error;
print(`restored into ${name}: ${EJSON.stringify(outcome.counts)}; next: hobnob migrate`);
