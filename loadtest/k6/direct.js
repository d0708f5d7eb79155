// hobnob under k6: virtual users in pairs, who register, open /ws, say hello and write to each other.
//
//   k6 run -e URL=http://127.0.0.1:3001 -e VUS=20 -e SECONDS=20 loadtest/k6/direct.js
//
// For those who know k6 already. It counts and times; it does not prove delivery: that takes `hobnob-load check`.
import exec from "k6/execution";
import http from "k6/http";
import { check } from "k6";
import { Counter, Trend } from "k6/metrics";
import { WebSocket } from "k6/experimental/websockets";

const URL = __ENV.URL || "http://127.0.0.1:3000";
const VUS = Number(__ENV.VUS || 20);
const SECONDS = Number(__ENV.SECONDS || 20);
const PAUSE_MS = Number(__ENV.PAUSE_MS || 100);

const acknowledged = new Trend("hobnob_acknowledged_ms", true);
const delivered = new Trend("hobnob_delivered_ms", true);
const refused = new Counter("hobnob_refused");
const outOfOrder = new Counter("hobnob_out_of_order");

export const options = {
  scenarios: {
    pairs: { executor: "per-vu-iterations", vus: VUS, iterations: 1, maxDuration: `${SECONDS + 30}s` },
  },
  thresholds: {
    checks: ["rate==1"],
    hobnob_acknowledged_ms: ["p(99)<500"],
    hobnob_delivered_ms: ["p(99)<500"],
    hobnob_refused: ["count==0"],
    hobnob_out_of_order: ["count==0"],
  },
};

function register(username) {
  const body = JSON.stringify({ username, password: "correct horse battery" });
  const answer = http.post(`${URL}/register`, body, { headers: { "content-type": "application/json" } });
  check(answer, { registered: (answer) => answer.status === 201 });
  return answer.json();
}

// Everybody is registered once, so that each knows the other's id.
export function setup() {
  const run = Date.now().toString(36);
  return Array.from({ length: VUS }, (_, index) => register(`k6-${run}-${index}`));
}

export default function (people) {
  const own = exec.vu.idInTest - 1;
  const [me, other] = [people[own], people[own ^ 1] ?? people[0]];
  const socket = new WebSocket(`${URL.replace("http", "ws")}/ws`);
  const sent = new Map();
  let ref = 1, latest = 0;

  socket.onopen = () => socket.send(JSON.stringify({ type: "hello", ref: 0, token: me.token }));
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(data);
    if (frame.type === "hello") {
      const writing = setInterval(() => {
        sent.set(ref, Date.now());
        socket.send(JSON.stringify({ type: "send_message", ref, receiverId: other.userId, content: `${Date.now()}` }));
        ref += 1;
      }, PAUSE_MS);
      setTimeout(() => clearInterval(writing), SECONDS * 1000);
      setTimeout(() => {
        check(sent, { "all answered": (sent) => sent.size === 0 });
        socket.close();
      }, SECONDS * 1000 + 2000);
    } else if (frame.type === "receive_message") {
      delivered.add(Date.now() - Number(frame.message.content));
      if (frame.message.seq <= latest) outOfOrder.add(1);
      latest = frame.message.seq;
    } else if (frame.ref !== undefined) {
      if (frame.error) refused.add(1);
      acknowledged.add(Date.now() - sent.get(frame.ref));
      sent.delete(frame.ref);
    }
  };
}
