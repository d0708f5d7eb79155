// The health check of compose.yaml's mongod, run by mongosh: makes it a replica set at the first time, and fails until it
// is the primary.
try {
  rs.status();
} catch (error) {
  if (error.codeName !== "NotYetInitialized") throw error;
  rs.initiate({ _id: "rs0", members: [{ _id: 0, host: "mongodb:27017" }] });
}
if (!db.hello().isWritablePrimary) throw new Error("not the primary yet");
