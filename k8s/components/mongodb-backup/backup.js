// Writes one database to one file, as it was at one moment of the cluster's time: gateways go on meanwhile. For mongosh.
// The address may also be in a file, which MONGODB_URI_FILE names.
//
//   MONGODB_URI=mongodb://…/hobnob BACKUP_FILE=/backup/name.jsonl.gz mongosh --nodb --quiet --file backup.js
//
// The file is gzipped lines of canonical Extended JSON: a head, a line {c: collection, d: document} each, and an end with
// the counts, without which restore.js takes it for cut off. It gets its name last, so a name means a whole file.
//
// All collections are read at one `atClusterTime` (read concern "snapshot"). MongoDB keeps such a moment for
// minSnapshotHistoryWindowInSeconds (300 by default): a backup that takes longer fails, and says so.
const fs = require("fs");
const zlib = require("zlib");

const FORMAT = "hobnob backup 1";
const BATCH = 2000;
// Compressed by itself: concatenated gzip members are one gzip file.
const CHUNK_CHARACTERS = 4 * 1024 * 1024;

const uri = process.env.MONGODB_URI ?? fs.readFileSync(process.env.MONGODB_URI_FILE, "utf8").trim();
const connection = new Mongo(uri);
// An explicit session, because a cursor may only be continued in the session that opened it; one that is causally
// consistent may not name the moment of its reads.
const session = connection.startSession({ causalConsistency: false });
const name = new URL(uri.replace(/^mongodb(\+srv)?:\/\/[^/]*/, "x://x")).pathname.slice(1);
const database = session.getDatabase(name);
const target = process.env.BACKUP_FILE;
const file = fs.openSync(`${target}.part`, "w", 0o600);
let lines = "";
let atClusterTime = null;

function flush() {
  fs.writeSync(file, zlib.gzipSync(lines));
  lines = "";
}

function write(value) {
  lines += `${EJSON.stringify(value, { relaxed: false })}\n`;
  if (lines.length > CHUNK_CHARACTERS) flush();
}

function check(answer) {
  if (answer.ok !== 1) throw new Error(EJSON.stringify(answer));
  return answer.cursor;
}

function copy(collection) {
  const readConcern = atClusterTime ? { level: "snapshot", atClusterTime } : { level: "snapshot" };
  let cursor = check(database.runCommand({ find: collection, batchSize: BATCH, readConcern }));
  // The first collection decides the moment, and the others are read at the same.
  atClusterTime ??= cursor.atClusterTime;
  let count = 0;
  let batch = cursor.firstBatch;
  while (true) {
    for (const document of batch) write({ c: collection, d: document });
    count += batch.length;
    if (cursor.id.toString() === "0") return count;
    cursor = check(database.runCommand({ getMore: cursor.id, collection, batchSize: BATCH }));
    batch = cursor.nextBatch;
  }
}

const collections = database
  .getCollectionNames()
  .filter((collection) => !collection.startsWith("system."))
  .sort();
write({ format: FORMAT, database: name, collections });
const counts = {};
for (const collection of collections) counts[collection] = copy(collection);
write({ end: true, atClusterTime, counts });
flush();
fs.fsyncSync(file);
fs.closeSync(file);
fs.renameSync(`${target}.part`, target);
print(`backup of ${name} at ${EJSON.stringify(atClusterTime)}: ${EJSON.stringify(counts)}`);
