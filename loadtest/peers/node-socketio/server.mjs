// The peer: the small chat server hobnob descends from, scaled the way Socket.IO's documents advise, so that there is
// something to compare with. One process; start several with the same Redis and MongoDB.
//
//   PORT, REDIS_URL, MONGODB_URI, JWT_SECRET   as they say
//   CATCH_UP=1                                 also deliver what a client missed in rooms (see sockets.mjs)

import { createServer } from "node:http";

import { createAdapter } from "@socket.io/redis-adapter";
import express from "express";
import mongoose from "mongoose";
import { createClient } from "redis";
import { Server } from "socket.io";

import { Message, Room, User } from "./models.mjs";
import { routes } from "./rest.mjs";
import { sockets } from "./sockets.mjs";

const { PORT = "3000", REDIS_URL, MONGODB_URI, JWT_SECRET, CATCH_UP } = process.env;

await mongoose.connect(MONGODB_URI);
await Promise.all([User.init(), Room.init(), Message.init()]);

const publisher = createClient({ url: REDIS_URL });
const subscriber = publisher.duplicate();
for (const client of [publisher, subscriber]) client.on("error", (error) => console.error("redis:", error.message));
await Promise.all([publisher.connect(), subscriber.connect()]);

const app = express();
const server = createServer(app);
const io = new Server(server, { adapter: createAdapter(publisher, subscriber) });
routes(app, io, JWT_SECRET);
sockets(io, JWT_SECRET, { catchUp: CATCH_UP === "1" });
server.listen(Number(PORT), "127.0.0.1", () => console.log(`listening on ${PORT}`));

// The adapter lets a failed publish go by unheard, which ends a process of Node; a process manager would start it again.
process.on("unhandledRejection", (error) => console.error("unhandled:", error?.message));

process.on("SIGTERM", async () => {
  await io.close();
  await Promise.allSettled([publisher.close(), subscriber.close(), mongoose.disconnect()]);
  process.exit(0);
});
