// System calls that Swift's C library modules do not show.
#define _GNU_SOURCE
#include "CMillraceSystem.h"
#include <unistd.h>

int millrace_syncfs(int descriptor) {
#ifdef __linux__
  return syncfs(descriptor);
#else
  return fsync(descriptor);
#endif
}
