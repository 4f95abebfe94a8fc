// HARD's sender for Arduino: an ESP32 with an MPU-6050. It sends a second of samples in each message.
// Needs the libraries PubSubClient and the board package esp32. Change the lines below.
#include <PubSubClient.h>
#include <WiFi.h>
#include <Wire.h>
#include <sys/time.h>

#include "payload.h"

const char *WIFI = "network", *WIFI_PASSWORD = "secret";
const char *BROKER = "192.168.1.2", *USER = nullptr, *PASSWORD = nullptr;
const char *TOPIC = "sensors/belt-7/accel";
const int RATE_HZ = 50;

const int ADDRESS = 0x68, POWER = 0x6B, RANGE = 0x1C, FIRST = 0x3B;  // of the MPU-6050 and its registers
const float MS2 = 4 * 9.80665f / 32768;                              // m/s² a count within 4 g

WiFiClient network;
PubSubClient mqtt(network);
float xyz[RATE_HZ][3];
char text[RATE_HZ * 24 + 64];

void writeRegister(int address, int value) {
  Wire.beginTransmission(ADDRESS);
  Wire.write(address);
  Wire.write(value);
  Wire.endTransmission();
}

void readSample(float *sample) {
  Wire.beginTransmission(ADDRESS);
  Wire.write(FIRST);
  Wire.endTransmission(false);
  Wire.requestFrom(ADDRESS, 6);
  for (int axis = 0; axis < 3; axis++) {
    int high = Wire.read();
    sample[axis] = (int16_t)(high << 8 | Wire.read()) * MS2;
  }
}

int64_t unixMs() {
  timeval now;
  gettimeofday(&now, nullptr);
  return (int64_t)now.tv_sec * 1000 + now.tv_usec / 1000;
}

void setup() {
  Wire.begin();
  writeRegister(POWER, 0);
  writeRegister(RANGE, 0x08);
  WiFi.begin(WIFI, WIFI_PASSWORD);
  while (WiFi.status() != WL_CONNECTED) delay(200);
  configTime(0, 0, "pool.ntp.org");
  while (unixMs() < 1600000000000LL) delay(200);  // the clock isn't set yet
  mqtt.setServer(BROKER, 1883);
  mqtt.setBufferSize(sizeof text + 64);  // PubSubClient's 256 bytes are too few: it would drop the message silently
}

void loop() {
  while (!mqtt.connected() && !mqtt.connect(TOPIC, USER, PASSWORD)) delay(1000);
  int64_t begin = unixMs();
  unsigned long next = micros();
  for (int i = 0; i < RATE_HZ; i++) {
    while ((long)(micros() - next) < 0) delayMicroseconds(100);
    next += 1000000 / RATE_HZ;
    readSample(xyz[i]);
  }
  if (payload(text, sizeof text, begin, RATE_HZ, xyz, RATE_HZ)) mqtt.publish(TOPIC, text);
  mqtt.loop();
}
