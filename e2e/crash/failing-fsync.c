/*
 * Loaded into a process with LD_PRELOAD: once the file named by TEST_FSYNC_FAILS exists, fsync
 * and fdatasync fail with EIO for files whose path ends with the text in it. No header is needed.
 */
typedef long ssize_t;
typedef unsigned long size_t;
extern char *getenv(const char *);
extern int open(const char *, int, ...);
extern ssize_t read(int, void *, size_t);
extern int close(int);
extern ssize_t readlink(const char *, char *, size_t);
extern int snprintf(char *, size_t, const char *, ...);
extern size_t strlen(const char *);
extern int memcmp(const void *, const void *, size_t);
extern long syscall(long, ...);
extern int *__errno_location(void);

#if defined(__x86_64__)
enum { SYS_fsync = 74, SYS_fdatasync = 75 };
#elif defined(__aarch64__)
enum { SYS_fsync = 82, SYS_fdatasync = 83 };
#else
#error "which numbers have fsync and fdatasync here?"
#endif
enum { EIO = 5 };

static int fails(int file) {
  const char *trigger = getenv("TEST_FSYNC_FAILS");
  char ending[256], link[64], path[4096];
  int reading = trigger ? open(trigger, 0) : -1;
  if (reading < 0) return 0;
  ssize_t wanted = read(reading, ending, sizeof ending);
  close(reading);
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path);
  return wanted > 0 && length >= wanted && !memcmp(path + length - wanted, ending, wanted);
}

static int sync_or_fail(long call, int file) {
  if (!fails(file)) return (int)syscall(call, file);
  *__errno_location() = EIO;
  return -1;
}

int fsync(int file) { return sync_or_fail(SYS_fsync, file); }
int fdatasync(int file) { return sync_or_fail(SYS_fdatasync, file); }
