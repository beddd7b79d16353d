#ifndef CMILLRACE_SYSTEM_H
#define CMILLRACE_SYSTEM_H

/// Flushes the file system that holds `descriptor`; -1 and errno on failure. Where there is no syncfs(2), flushes what
/// the descriptor is of.
int millrace_syncfs(int descriptor);

/// Names the calling thread for tools such as top(1). On Linux a name of more than 15 bytes is not taken.
void millrace_name_thread(const char *name);
#endif
