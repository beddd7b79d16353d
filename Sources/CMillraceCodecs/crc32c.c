// Chooses the implementation of CRC-32C once, on the first call.
#include "CMillraceCodecs.h"
#include <stdatomic.h>

static uint32_t choose(uint32_t crc, const void *bytes, size_t count);

static _Atomic(millrace_crc32c_function) chosen = choose;

// Threads that arrive together all find and store the same function, so no lock is needed.
static uint32_t choose(uint32_t crc, const void *bytes, size_t count) {
  millrace_crc32c_function function = millrace_crc32c_hardware();
  if (function == NULL) function = millrace_crc32c_portable;
  atomic_store_explicit(&chosen, function, memory_order_relaxed);
  return function(crc, bytes, count);
}

uint32_t millrace_crc32c(uint32_t crc, const void *bytes, size_t count) {
  return atomic_load_explicit(&chosen, memory_order_relaxed)(crc, bytes, count);
}

int millrace_crc32c_is_accelerated(void) { return millrace_crc32c_hardware() != NULL; }
