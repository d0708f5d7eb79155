// Makes the one mongod a replica set, unless it is one; waits until it is primary. Run by mongosh.
const member = { _id: 0, host: "mongodb-0.mongodb:27017" };
try {
  rs.status();
} catch (error) {
  if (error.codeName !== "NotYetInitialized") throw error;
  rs.initiate({ _id: "rs0", members: [member] });
}
const deadline = Date.now() + 60_000;
while (!db.hello().isWritablePrimary) {
  if (Date.now() > deadline) throw new Error("no primary within 60 s");
  sleep(500);
}
