// What an integrator writes: subscribes to HARD's topics by MQTT.js and prints each message as a line of JSON.
// node subscriber.mjs URL PROTOCOL_VERSION
import mqtt from "mqtt";

const [url, version] = process.argv.slice(2);
const client = mqtt.connect(url, { protocolVersion: Number(version) });
client.on("connect", () => client.subscribe(["hard/+/activity", "hard/+/state", "hard/status"], { qos: 1 }));
client.on("message", (topic, payload, packet) => {
  console.log(JSON.stringify({ topic, payload: payload.toString(), retain: packet.retain, qos: packet.qos }));
});
client.on("error", (error) => {
  console.error(error);
  process.exit(1);
});
