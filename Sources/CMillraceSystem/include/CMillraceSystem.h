#ifndef CMILLRACE_SYSTEM_H
#define CMILLRACE_SYSTEM_H

/// Flushes the file system that holds `descriptor`; -1 and errno on failure. Where there is no syncfs(2), flushes what
/// the descriptor is of.
int millrace_syncfs(int descriptor);
#endif
