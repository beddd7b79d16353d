#define _GNU_SOURCE
#include "CMillraceSystem.h"

#include <fcntl.h>
#include <unistd.h>

int millrace_pipe(int ends[2]) {
#if defined(__linux__)
  return pipe2(ends, O_CLOEXEC);
#else
  // There is a moment in which a program that another thread starts inherits the ends.
  if (pipe(ends) != 0) return -1;
  fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  fcntl(ends[1], F_SETFD, FD_CLOEXEC);
  return 0;
#endif
}
