#ifndef CMILLRACE_SYSTEM_H
#define CMILLRACE_SYSTEM_H

/// Flushes the file system that holds `descriptor`; -1 and errno on failure. Where there is no syncfs(2), flushes what
/// the descriptor is of.
int millrace_syncfs(int descriptor);

/// Makes a pipe whose ends, for reading and for writing, are closed on exec; -1 and errno on failure.
int millrace_pipe(int ends[2]);
#endif
