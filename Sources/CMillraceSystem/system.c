// System calls that Swift's C library modules do not show.
#define _GNU_SOURCE
#include "CMillraceSystem.h"
#include <pthread.h>
#include <unistd.h>

int millrace_syncfs(int descriptor) {
#ifdef __linux__
  return syncfs(descriptor);
#else
  return fsync(descriptor);
#endif
}

void millrace_name_thread(const char *name) {
#ifdef __linux__
  pthread_setname_np(pthread_self(), name);
#else
  pthread_setname_np(name);
#endif
}
