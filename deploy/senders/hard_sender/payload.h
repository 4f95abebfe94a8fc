// A second of samples as HARD's JSON. No part of Arduino is used here, so a computer can compile it too.
#pragma once
#include <stdint.h>
#include <stdio.h>

// Writes `{"t0":…,"rate":…,"xyz":[[x,y,z],…]}` with `n` samples in m/s² into `text`; returns its length, or 0 where
// `size` bytes are too few. `t0Ms` is the time of the first sample, in ms since 1970.
inline int payload(char *text, int size, int64_t t0Ms, int rateHz, const float (*xyz)[3], int n) {
  int at = snprintf(text, size, "{\"t0\":%lld.%03lld,\"rate\":%d,\"xyz\":[", (long long)(t0Ms / 1000),
                    (long long)(t0Ms % 1000), rateHz);
  for (int i = 0; i < n && at < size; i++)
    at += snprintf(text + at, size - at, "%s[%.2f,%.2f,%.2f]", i ? "," : "", xyz[i][0], xyz[i][1], xyz[i][2]);
  if (at < size) at += snprintf(text + at, size - at, "]}");
  return at < size ? at : 0;
}
