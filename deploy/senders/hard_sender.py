"""HARD's sender for MicroPython: an ESP32 or Pico W with an MPU-6050. It sends a second of samples in each message.

Change the lines below, copy the file to the board as main.py, and reset the board.
"""

import time

import network
import ntptime
from machine import I2C, Pin, Timer
from umqtt.simple import MQTTClient

WIFI, WIFI_PASSWORD = "network", "secret"
BROKER, USER, PASSWORD = "192.168.1.2", None, None
DEVICE = "belt-7"  # one level of the topic
SDA, SCL = 21, 22  # pins of the sensor
RATE_HZ = 50

ADDRESS, POWER, RANGE, FIRST = 0x68, 0x6B, 0x1C, 0x3B  # of the MPU-6050 and its registers
FOUR_G = 0x08
MS2 = 4 * 9.80665 / 32768  # m/s² a count within 4 g
EPOCH_S = 946_684_800 if time.gmtime(0)[0] == 2000 else 0  # most boards count from 2000


def row(raw):
    """Six bytes of the sensor → `[x, y, z]` in m/s²."""
    counts = [raw[i] << 8 | raw[i + 1] for i in (0, 2, 4)]
    x, y, z = [(n - 65536 if n > 32767 else n) * MS2 for n in counts]
    return f"[{x:.2f},{y:.2f},{z:.2f}]"


def payload(t0_ms, rows):
    """A message; the time is put together as text, because a float of these boards can't hold it."""
    xyz = ",".join(rows)
    return f'{{"t0":{t0_ms // 1000}.{t0_ms % 1000:03d},"rate":{RATE_HZ},"xyz":[{xyz}]}}'


class Sampler:
    """Reads the sensor by a timer into `rows`, and gives a second of them at a time. `count` counts samples."""

    def __init__(self, i2c):
        self.i2c, self.rows, self.count = i2c, [], 0
        i2c.writeto_mem(ADDRESS, POWER, b"\0")
        i2c.writeto_mem(ADDRESS, RANGE, bytes([FOUR_G]))

    def sample(self, _timer):
        if len(self.rows) >= 5 * RATE_HZ:  # the network is away
            self.rows = []
        self.rows.append(row(self.i2c.readfrom_mem(ADDRESS, FIRST, 6)))
        self.count += 1

    def take(self):
        """The number of the first sample and a second of rows, or None while there is no whole second."""
        if len(self.rows) < RATE_HZ:
            return None
        first = self.count - len(self.rows)
        taken, self.rows = self.rows[:RATE_HZ], self.rows[RATE_HZ:]
        return first, taken


def connect():
    """Joins the network, sets the clock, connects to the broker."""
    wifi = network.WLAN(network.STA_IF)
    wifi.active(True)
    wifi.connect(WIFI, WIFI_PASSWORD)
    while not wifi.isconnected():
        time.sleep_ms(200)
    ntptime.settime()
    client = MQTTClient("hard-" + DEVICE, BROKER, user=USER, password=PASSWORD, keepalive=30)
    client.connect()
    return client


def main(seconds=None):
    """Sends until the board is switched off, or for so many `seconds`."""
    client, sampler = connect(), Sampler(I2C(0, sda=Pin(SDA), scl=Pin(SCL)))
    begin_ms = (time.time() + EPOCH_S) * 1000
    Timer(0).init(period=1000 // RATE_HZ, callback=sampler.sample)
    while seconds is None or seconds > 0:
        taken = sampler.take()
        if taken is None:
            time.sleep_ms(20)
            continue
        first, rows = taken
        try:
            client.publish(f"sensors/{DEVICE}/accel", payload(begin_ms + first * 1000 // RATE_HZ, rows))
        except OSError:
            client = connect()
        seconds = None if seconds is None else seconds - 1


if __name__ == "__main__":
    main()
