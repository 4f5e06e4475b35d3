/* Crashes and power losses for tests: a library to preload.
 *
 * It stands between a program and libc and acts on files below one folder, COUNTERMARK_SHIM_DIR, and on nothing else.
 *
 *   COUNTERMARK_SHIM_COUNT=file     The number of steps taken so far, 20 decimal digits. Made with the first step.
 *   COUNTERMARK_SHIM_KILL_AT=n      The n-th step does not happen: the process gets SIGKILL instead.
 *   COUNTERMARK_SHIM_TORN=1         ... but if that step is a write, its first half happens before.
 *   COUNTERMARK_SHIM_SHADOW=folder  Keeps there what a power loss would leave. Must start as a copy of the folder.
 *   COUNTERMARK_SHIM_FULL_FLAG=file While that file exists, the disk is full: every write, every growing ftruncate, every new
 *                                   file or folder fails with ENOSPC. What fails so is no step.
 *   COUNTERMARK_SHIM_FULL_GIVES=1   ... but what is given back meanwhile by an unlink can be written again.
 *   COUNTERMARK_SHIM_STRAY=seed     At the kill, each page of 4 KiB that was written and not forced, each name and each cut
 *                                   reaches the shadow or not, as chance has it: a system writes back when it likes.
 *
 *   COUNTERMARK_SHIM_FAIL_SYNC_AT=n The n-th fsync, fdatasync or sync_file_range fails with EIO, and what it was to force is taken for
 *                                   clean from then on, as the kernel does: later ones succeed and do not force it either.
 *
 * A step is a call that changes or forces something: a write of any kind, ftruncate, fsync, fdatasync, sync_file_range,
 * rename, unlink, rmdir, mkdir, and an open that makes or empties a file. Steps are counted for each process.
 *
 * What survives a power loss, in the shadow:
 *   - The content of a file as of its last fsync or fdatasync. sync_file_range forces nothing.
 *   - A name, once the file itself or its folder was forced (ext4 commits the entry with the inode). A name forced by way of
 *     its folder shows the content that was forced until then, which may be none: allocation is delayed, the entry is not.
 *   - A rename replaces its target in the shadow only when it is forced in one of these ways; until then the old file stands.
 *   - An unlink at once. A journal may commit at any instant, and to lose the old file before the new one is forced is the
 *     harsher of the two outcomes. Journals are ordered, so what happened in that folder before is committed with it: names,
 *     not content.
 *   - A folder, when it or its parent or a file in it is forced; the rename or removal of a folder at once.
 *
 * Updates of the shadow are such that a kill in their midst leaves what a power loss during the forcing could have left: a new
 * file is filled beside the shadow and renamed into it; an old one is cut first, as far as it was cut, then gets its dirty
 * extents in ascending order. Any part of them may have reached a disk.
 *
 * fsync and fdatasync are not handed on to the kernel: nobody looks at the disk itself, and tests stay fast. All calls below
 * the folder are serialised by one lock. Not seen: mmap, sendfile, copy_file_range, fallocate, io_uring, stdio of libc itself,
 * hard links. Where the shim cannot do its work it aborts with a message: a test must not pass on a wrong shadow.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* Above this many dirty extents of a file they become one that covers them all; what is clean in it is the same anyway. */
#define MAX_EXTENTS 4096
#define BUCKETS 1024
#define NEVER_CUT ((off_t)0x7fffffffffffffffLL)

struct extent {
    off_t start, end;
};

/* A file below the folder, by its inode. Paths are relative to the folder and start with a slash. */
struct node {
    dev_t dev;
    ino_t ino;
    char *path;    /* its name now; NULL once it has none */
    char *durable; /* its name in the shadow; NULL while it is not there */
    off_t cut;     /* smallest size since it was last forced, NEVER_CUT without a cut */
    struct extent *dirty;
    size_t extents;
    struct node *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static char folder[PATH_MAX]; /* empty: the shim does nothing */
static const char *shadow, *full_flag, *count_path;
static unsigned long kill_at, steps, fail_sync_at, syncs;
static int torn, full_gives;
static off_t given; /* bytes given back since the disk is full */
static unsigned long stray;
static char *counter;
static struct node *nodes[BUCKETS];

static int (*real_open)(const char *, int, ...);
static int (*real_openat)(int, const char *, int, ...);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_pwritev)(int, const struct iovec *, int, off_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_sync_file_range)(int, off_t, off_t, unsigned);
static int (*real_renameat)(int, const char *, int, const char *);
static int (*real_unlinkat)(int, const char *, int);
static int (*real_mkdirat)(int, const char *, mode_t);

static void fail(const char *what, const char *path) {
    dprintf(2, "crash shim: cannot %s %s: %s\n", what, path, strerror(errno));
    abort();
}

static void *libc_symbol(const char *name) {
    void *symbol = dlsym(RTLD_NEXT, name);
    if (!symbol) fail("find", name);
    return symbol;
}

static const char *setting(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* The absolute path of `path` without links in its parents, or 0. */
static int absolute(int at, const char *path, char out[PATH_MAX]) {
    char whole[2 * PATH_MAX], parent[PATH_MAX], link[64];
    ssize_t n = 0;
    if (*path != '/') {
        if (at == AT_FDCWD) {
            if (!getcwd(parent, sizeof parent)) return 0;
        } else {
            snprintf(link, sizeof link, "/proc/self/fd/%d", at);
            if ((n = readlink(link, parent, sizeof parent - 1)) <= 0) return 0;
            parent[n] = 0;
        }
        n = snprintf(whole, sizeof whole, "%s/%s", parent, path);
    } else {
        n = snprintf(whole, sizeof whole, "%s", path);
    }
    if (n >= (ssize_t)sizeof whole) return 0;
    while (n > 1 && whole[n - 1] == '/') whole[--n] = 0;
    char *slash = strrchr(whole, '/');
    *slash = 0;
    if (!realpath(slash == whole ? "/" : whole, parent)) return 0;
    return snprintf(out, PATH_MAX, "%s/%s", strcmp(parent, "/") ? parent : "", slash + 1) < PATH_MAX;
}

/* Where in the folder an absolute path is; NULL where it is not below it. */
static const char *within(const char *path) {
    size_t n = strlen(folder);
    return !strncmp(path, folder, n) && path[n] == '/' ? path + n : NULL;
}

static void init(void) {
    real_open = libc_symbol("open64");
    real_openat = libc_symbol("openat64");
    real_write = libc_symbol("write");
    real_pwrite = libc_symbol("pwrite64");
    real_writev = libc_symbol("writev");
    real_pwritev = libc_symbol("pwritev64");
    real_ftruncate = libc_symbol("ftruncate64");
    real_fsync = libc_symbol("fsync");
    real_fdatasync = libc_symbol("fdatasync");
    real_sync_file_range = libc_symbol("sync_file_range");
    real_renameat = libc_symbol("renameat");
    real_unlinkat = libc_symbol("unlinkat");
    real_mkdirat = libc_symbol("mkdirat");

    const char *value = setting("COUNTERMARK_SHIM_DIR");
    if (!value) return;
    if (!absolute(AT_FDCWD, value, folder)) fail("resolve", value);
    shadow = setting("COUNTERMARK_SHIM_SHADOW");
    if (shadow && *shadow != '/') fail("use the relative path", shadow);
    full_flag = setting("COUNTERMARK_SHIM_FULL_FLAG");
    count_path = setting("COUNTERMARK_SHIM_COUNT");
    value = setting("COUNTERMARK_SHIM_KILL_AT");
    kill_at = value ? strtoul(value, NULL, 10) : 0;
    value = setting("COUNTERMARK_SHIM_FAIL_SYNC_AT");
    fail_sync_at = value ? strtoul(value, NULL, 10) : 0;
    torn = setting("COUNTERMARK_SHIM_TORN") != NULL;
    full_gives = setting("COUNTERMARK_SHIM_FULL_GIVES") != NULL;
    value = setting("COUNTERMARK_SHIM_STRAY");
    stray = value ? strtoul(value, NULL, 10) | 1 : 0;
}

static int active(void) {
    pthread_once(&once, init);
    return *folder != 0;
}

/* Whether the disk has no room for so many bytes more. */
static int disk_full(off_t bytes) {
    if (!full_flag || access(full_flag, F_OK)) {
        given = 0;
        return 0;
    }
    if (!full_gives || given <= 0 || given < bytes) return 1;
    given -= bytes;
    return 0;
}

static void map_counter(void) {
    int fd = real_open(count_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || real_ftruncate(fd, 20)) fail("make", count_path);
    counter = mmap(NULL, 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (counter == MAP_FAILED) fail("map", count_path);
    close(fd);
}

static void leave_strays(void);

static void die(void) {
    if (shadow && stray) leave_strays();
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* Counts a step; true where the process is to die instead of it. */
static int last_step(void) {
    steps++;
    if (count_path) {
        if (!counter) map_counter();
        char digits[21];
        snprintf(digits, sizeof digits, "%020lu", steps);
        memcpy(counter, digits, 20);
    }
    return kill_at && steps == kill_at;
}

static void step(void) {
    if (last_step()) die();
}

/* ---- files ---- */

static void in_shadow(const char *path, char out[PATH_MAX]) {
    if (snprintf(out, PATH_MAX, "%s%s", shadow, path) >= PATH_MAX) fail("shadow the long path", path);
}

static int shadow_has(const char *path) {
    char name[PATH_MAX];
    if (!shadow) return 0;
    in_shadow(path, name);
    return !access(name, F_OK);
}

static char *copy_of(const char *text) {
    char *copy = strdup(text);
    if (!copy) fail("keep", text);
    return copy;
}

static struct node **slot(dev_t dev, ino_t ino) {
    struct node **at = &nodes[(ino ^ dev) % BUCKETS];
    while (*at && ((*at)->ino != ino || (*at)->dev != dev)) at = &(*at)->next;
    return at;
}

static void forget(struct node *node) {
    struct node **at = slot(node->dev, node->ino);
    *at = node->next;
    free(node->path);
    free(node->durable);
    free(node->dirty);
    free(node);
}

static void soil(struct node *node, off_t start, off_t end) {
    if (start >= end) return;
    /* What touches the new extent becomes part of it. */
    size_t kept = 0;
    for (size_t i = 0; i < node->extents; i++) {
        struct extent e = node->dirty[i];
        if (e.end < start || e.start > end) {
            node->dirty[kept++] = e;
        } else {
            start = e.start < start ? e.start : start;
            end = e.end > end ? e.end : end;
        }
    }
    if (kept == MAX_EXTENTS) {
        for (size_t i = 0; i < kept; i++) {
            start = node->dirty[i].start < start ? node->dirty[i].start : start;
            end = node->dirty[i].end > end ? node->dirty[i].end : end;
        }
        kept = 0;
    }
    if (!node->dirty && !(node->dirty = malloc((MAX_EXTENTS + 1) * sizeof *node->dirty))) fail("track", node->path);
    size_t at = kept;
    while (at && node->dirty[at - 1].start > start) {
        node->dirty[at] = node->dirty[at - 1];
        at--;
    }
    node->dirty[at] = (struct extent){start, end};
    node->extents = kept + 1;
}

static void cut(struct node *node, off_t size) {
    node->cut = size < node->cut ? size : node->cut;
    size_t kept = 0;
    for (size_t i = 0; i < node->extents; i++) {
        struct extent e = node->dirty[i];
        if (e.start < size) node->dirty[kept++] = (struct extent){e.start, e.end < size ? e.end : size};
    }
    node->extents = kept;
}

/* Starts to track a file. One that another process or an earlier run made may differ anywhere from what was forced. */
static struct node *track(const struct stat *st, const char *path, int created) {
    struct node **at = slot(st->st_dev, st->st_ino);
    if (*at) forget(*at);
    struct node *node = calloc(1, sizeof *node);
    if (!node) fail("track", path);
    *node = (struct node){.dev = st->st_dev, .ino = st->st_ino, .path = copy_of(path), .cut = NEVER_CUT};
    if (!created && shadow_has(path)) node->durable = copy_of(path);
    if (!created) soil(node, 0, st->st_size);
    at = slot(st->st_dev, st->st_ino);
    *at = node;
    return node;
}

static struct node *of_stat(const struct stat *st, const char *path) {
    struct node *node = *slot(st->st_dev, st->st_ino);
    /* An inode without a name is gone when it turns up with one again: the number was given anew. */
    if (node && (node->path || !st->st_nlink)) return node;
    return path ? track(st, path, 0) : NULL;
}

/* The path below the folder that a descriptor was opened by, or NULL. */
static const char *path_of_fd(int fd, char out[PATH_MAX]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, out, PATH_MAX - 1);
    if (n <= 0) return NULL;
    out[n] = 0;
    return within(out);
}

static struct node *of_fd(int fd, const struct stat *st) {
    struct node *node = of_stat(st, NULL);
    if (node) return node;
    char name[PATH_MAX];
    const char *path = path_of_fd(fd, name);
    struct stat named;
    if (!path || lstat(name, &named) || named.st_ino != st->st_ino || named.st_dev != st->st_dev) return NULL;
    return of_stat(st, path);
}

static int is_file(int fd, struct stat *st) { return active() && !fstat(fd, st) && S_ISREG(st->st_mode); }

/* ---- the shadow ---- */

static void shadow_folders(const char *path) {
    char name[PATH_MAX];
    in_shadow(path, name);
    for (char *slash = name + strlen(shadow); (slash = strchr(slash + 1, '/'));) {
        *slash = 0;
        if (real_mkdirat(AT_FDCWD, name, 0700) && errno != EEXIST) fail("make", name);
        *slash = '/';
    }
}

static void shadow_folder(const char *path) {
    char name[PATH_MAX];
    shadow_folders(path);
    in_shadow(path, name);
    if (real_mkdirat(AT_FDCWD, name, 0700) && errno != EEXIST) fail("make", name);
}

static void stage_name(char out[PATH_MAX]) { snprintf(out, PATH_MAX, "%s.stage-%d", shadow, getpid()); }

static int open_stage(void) {
    char name[PATH_MAX];
    stage_name(name);
    int fd = real_open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) fail("make", name);
    return fd;
}

/* Gives the file at `name` the place `path` of the shadow. */
static void place(const char *name, const char *path) {
    char target[PATH_MAX];
    shadow_folders(path);
    in_shadow(path, target);
    if (real_renameat(AT_FDCWD, name, AT_FDCWD, target)) fail("place", target);
}

static void settle(struct node *node, int depth);

/* Makes room for a name in the shadow: a file that had it and got another is known by that first, one without any is gone. */
static void vacate(const struct node *newcomer, const char *path, int depth) {
    for (size_t b = 0; b < BUCKETS; b++) {
        for (struct node *other = nodes[b]; other; other = other->next) {
            if (other == newcomer || !other->durable || strcmp(other->durable, path)) continue;
            if (other->path) {
                settle(other, depth + 1);
            } else {
                free(other->durable);
                other->durable = NULL;
            }
        }
    }
}

/* Makes the name of a file durable, with the content that is in the shadow or staged. */
static void settle_from(struct node *node, const char *staged, int depth) {
    char old[PATH_MAX];
    errno = ELOOP;
    if (depth > 8) fail("follow names that change places in a circle at", node->path);
    vacate(node, node->path, depth);
    if (!staged) {
        in_shadow(node->durable, old);
        staged = old;
    }
    place(staged, node->path);
    free(node->durable);
    node->durable = copy_of(node->path);
}

static void settle(struct node *node, int depth) {
    if (!node->path || (node->durable && !strcmp(node->durable, node->path))) return;
    if (node->durable) {
        settle_from(node, NULL, depth);
        return;
    }
    char stage[PATH_MAX];
    close(open_stage());
    stage_name(stage);
    settle_from(node, stage, depth);
}

static void copy_extent(int from, int to, struct extent e, off_t size) {
    static char buffer[1 << 16];
    off_t end = e.end < size ? e.end : size;
    for (off_t at = e.start; at < end;) {
        size_t want = end - at < (off_t)sizeof buffer ? (size_t)(end - at) : sizeof buffer;
        ssize_t got = pread(from, buffer, want, at);
        if (got <= 0) fail("read", "a file to shadow");
        for (ssize_t put = 0, n; put < got; put += n) {
            if ((n = real_pwrite(to, buffer + put, got - put, at + put)) <= 0) fail("write", "the shadow");
        }
        at += got;
    }
}

static void force_content(struct node *node, int fd) {
    char name[PATH_MAX], link[64];
    struct stat st, old;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int from = real_open(link, O_RDONLY | O_CLOEXEC);
    if (from < 0 || fstat(from, &st)) fail("read", node->path);
    int to;
    if (node->durable) {
        in_shadow(node->durable, name);
        to = real_open(name, O_RDWR | O_CLOEXEC);
    } else {
        stage_name(name);
        to = open_stage();
    }
    if (to < 0 || fstat(to, &old)) fail("open", name);
    if (node->cut < old.st_size && real_ftruncate(to, node->cut)) fail("cut", name);
    for (size_t i = 0; i < node->extents; i++) copy_extent(from, to, node->dirty[i], st.st_size);
    if (real_ftruncate(to, st.st_size)) fail("size", name);
    close(from);
    close(to);
    node->extents = 0;
    node->cut = NEVER_CUT;
    if (!node->durable) {
        settle_from(node, name, 0);
    } else {
        settle(node, 0);
    }
}

static int has_parent(const char *path, const char *parent) {
    size_t n = strlen(parent);
    return path && !strncmp(path, parent, n) && path[n] == '/' && !strchr(path + n + 1, '/');
}

/* Makes the names of one folder durable; the folder itself is "". */
static void force_names(const char *path) {
    char name[PATH_MAX], child[PATH_MAX];
    if (*path) shadow_folder(path);
    for (size_t b = 0; b < BUCKETS; b++) {
        for (struct node *node = nodes[b]; node; node = node->next) {
            if (has_parent(node->path, path) || has_parent(node->durable, path)) settle(node, 0);
        }
    }
    /* What was made out of the shim's sight. */
    if (snprintf(name, sizeof name, "%s%s", folder, path) >= (int)sizeof name) fail("list the long path", path);
    DIR *list = opendir(name);
    if (!list) return;
    for (struct dirent *entry; (entry = readdir(list));) {
        struct stat st;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        if (fstatat(dirfd(list), entry->d_name, &st, AT_SYMLINK_NOFOLLOW)) continue;
        if (snprintf(child, sizeof child, "%s/%s", path, entry->d_name) >= (int)sizeof child) fail("shadow", path);
        if (shadow_has(child)) continue;
        if (S_ISDIR(st.st_mode)) shadow_folder(child);
        if (S_ISREG(st.st_mode)) settle(of_stat(&st, child), 0);
    }
    closedir(list);
}

static int chance(void) {
    stray ^= stray << 13;
    stray ^= stray >> 7;
    stray ^= stray << 17;
    return stray >> 32 & 1;
}

static void leave_stray(struct node *node) {
    char name[PATH_MAX];
    struct stat st;
    if (!node->path) return;
    if (chance()) settle(node, 0);
    if (!node->durable) return;
    snprintf(name, sizeof name, "%s%s", folder, node->path);
    int from = real_open(name, O_RDONLY | O_CLOEXEC);
    in_shadow(node->durable, name);
    int to = real_open(name, O_RDWR | O_CLOEXEC);
    if (from < 0 || to < 0 || fstat(from, &st)) fail("open", name);
    struct stat old;
    if (!fstat(to, &old) && node->cut < old.st_size && chance() && real_ftruncate(to, node->cut)) fail("cut", name);
    for (size_t i = 0; i < node->extents; i++) {
        struct extent e = node->dirty[i];
        for (off_t at = e.start, next; at < e.end; at = next) {
            next = (at / 4096 + 1) * 4096;
            if (chance()) copy_extent(from, to, (struct extent){at, next < e.end ? next : e.end}, st.st_size);
        }
    }
    close(from);
    close(to);
}

static void leave_strays(void) {
    for (size_t b = 0; b < BUCKETS; b++) {
        for (struct node *node = nodes[b]; node; node = node->next) leave_stray(node);
    }
}

static void shadow_remove(const char *path, int flags) {
    char name[PATH_MAX];
    in_shadow(path, name);
    if (real_unlinkat(AT_FDCWD, name, flags) && errno != ENOENT) fail("remove", name);
}

static void parent_of(const char *path, char out[PATH_MAX]) {
    snprintf(out, PATH_MAX, "%s", path);
    *strrchr(out, '/') = 0;
}

/* ---- the calls ---- */

static int shim_open(int at, const char *path, int flags, mode_t mode) {
    char name[PATH_MAX];
    const char *below = NULL;
    struct stat st;
    if (!(flags & (O_CREAT | O_TRUNC)) || !active() || !absolute(at, path, name) || !(below = within(name)))
        return real_openat(at, path, flags, mode);
    pthread_mutex_lock(&lock);
    int exists = !stat(name, &st), fd = -1;
    int creates = !exists && flags & O_CREAT, empties = exists && flags & O_TRUNC && S_ISREG(st.st_mode);
    if (creates && disk_full(0)) {
        errno = ENOSPC;
    } else {
        struct node *node = empties ? of_stat(&st, below) : NULL;
        if (creates || empties) step();
        fd = real_openat(at, path, flags, mode);
        int error = errno;
        if (fd >= 0 && empties) cut(node, 0);
        if (fd >= 0 && creates && !fstat(fd, &st)) track(&st, below, 1);
        errno = error;
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

#define OPEN_MODE(flags, mode)                                   \
    mode_t mode = 0;                                             \
    if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) { \
        va_list rest;                                            \
        va_start(rest, flags);                                   \
        mode = va_arg(rest, mode_t);                             \
        va_end(rest);                                            \
    }

int open(const char *path, int flags, ...) {
    OPEN_MODE(flags, mode)
    pthread_once(&once, init);
    return shim_open(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    OPEN_MODE(flags, mode)
    pthread_once(&once, init);
    return shim_open(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

int openat(int at, const char *path, int flags, ...) {
    OPEN_MODE(flags, mode)
    pthread_once(&once, init);
    return shim_open(at, path, flags, mode);
}

int openat64(int at, const char *path, int flags, ...) {
    OPEN_MODE(flags, mode)
    pthread_once(&once, init);
    return shim_open(at, path, flags | O_LARGEFILE, mode);
}

int creat(const char *path, mode_t mode) { return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return open64(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

static ssize_t write_parts(int fd, const struct iovec *parts, int n, const off_t *offset) {
    return offset ? real_pwritev(fd, parts, n, *offset) : real_writev(fd, parts, n);
}

/* The first half of a write, part by part. */
static void write_half(int fd, const struct iovec *parts, int n, const off_t *offset) {
    size_t left = 0;
    off_t at = offset ? *offset : 0;
    for (int i = 0; i < n; i++) left += parts[i].iov_len;
    left /= 2;
    for (int i = 0; i < n && left; i++) {
        struct iovec part = {parts[i].iov_base, parts[i].iov_len < left ? parts[i].iov_len : left};
        ssize_t put = write_parts(fd, &part, 1, offset ? &at : NULL);
        if (put != (ssize_t)part.iov_len) return;
        left -= put;
        at += put;
    }
}

/* A write at the descriptor's own position where `offset` is NULL. */
static ssize_t shim_write(int fd, const struct iovec *parts, int n, const off_t *offset) {
    struct stat st;
    if (!is_file(fd, &st)) return write_parts(fd, parts, n, offset);
    pthread_mutex_lock(&lock);
    struct node *node = fstat(fd, &st) ? NULL : of_fd(fd, &st);
    if (!node) {
        pthread_mutex_unlock(&lock);
        return write_parts(fd, parts, n, offset);
    }
    ssize_t put = -1;
    off_t bytes = 0;
    for (int i = 0; i < n; i++) bytes += parts[i].iov_len;
    if (disk_full(bytes)) {
        errno = ENOSPC;
    } else {
        off_t at = fcntl(fd, F_GETFL) & O_APPEND ? st.st_size : offset ? *offset : lseek(fd, 0, SEEK_CUR);
        if (last_step()) {
            if (torn) write_half(fd, parts, n, offset);
            die();
        }
        put = write_parts(fd, parts, n, offset);
        if (put > 0) soil(node, at, at + put);
    }
    pthread_mutex_unlock(&lock);
    return put;
}

ssize_t write(int fd, const void *data, size_t size) {
    struct iovec part = {(void *)data, size};
    struct stat st;
    /* Most descriptors that a program writes to are none of ours and keep their own call. */
    pthread_once(&once, init);
    return is_file(fd, &st) ? shim_write(fd, &part, 1, NULL) : real_write(fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    struct iovec part = {(void *)data, size};
    pthread_once(&once, init);
    return shim_write(fd, &part, 1, &offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) { return pwrite(fd, data, size, offset); }

ssize_t writev(int fd, const struct iovec *parts, int n) {
    pthread_once(&once, init);
    return shim_write(fd, parts, n, NULL);
}

ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t offset) {
    pthread_once(&once, init);
    return shim_write(fd, parts, n, &offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int n, off64_t offset) { return pwritev(fd, parts, n, offset); }

int ftruncate(int fd, off_t size) {
    struct stat st;
    pthread_once(&once, init);
    if (!is_file(fd, &st)) return real_ftruncate(fd, size);
    pthread_mutex_lock(&lock);
    struct node *node = fstat(fd, &st) ? NULL : of_fd(fd, &st);
    int result = -1;
    if (node && size > st.st_size && disk_full(size - st.st_size)) {
        errno = ENOSPC;
    } else {
        if (node) step();
        result = real_ftruncate(fd, size);
        if (node && !result && size < st.st_size) cut(node, size);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

/* Whether this sync is the one that fails. `node` is NULL for a folder. */
static int sync_fails(struct node *node) {
    if (++syncs != fail_sync_at) return 0;
    if (node) node->extents = 0;
    errno = EIO;
    return 1;
}

static int shim_sync(int fd, int (*real)(int)) {
    char name[PATH_MAX];
    struct stat st;
    if (!active() || fstat(fd, &st) || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) return real(fd);
    pthread_mutex_lock(&lock);
    struct node *node = S_ISREG(st.st_mode) ? of_fd(fd, &st) : NULL;
    const char *path = NULL;
    if (S_ISDIR(st.st_mode) && !(path = path_of_fd(fd, name)) && !strcmp(name, folder)) path = "";
    int failed = 0;
    if (node || path) {
        step();
        failed = sync_fails(node);
        if (!failed && shadow && node && node->path) force_content(node, fd);
        if (!failed && shadow && path) force_names(path);
    }
    pthread_mutex_unlock(&lock);
    if (failed) return -1;
    return node || path ? 0 : real(fd);
}

int fsync(int fd) {
    pthread_once(&once, init);
    return shim_sync(fd, real_fsync);
}

int fdatasync(int fd) {
    pthread_once(&once, init);
    return shim_sync(fd, real_fdatasync);
}

/* A step, and nothing more: no metadata, no cache of the disk. */
int sync_file_range(int fd, off64_t offset, off64_t size, unsigned flags) {
    struct stat st;
    pthread_once(&once, init);
    if (!is_file(fd, &st)) return real_sync_file_range(fd, offset, size, flags);
    pthread_mutex_lock(&lock);
    struct node *node = of_fd(fd, &st);
    if (node) step();
    int failed = node && sync_fails(node);
    pthread_mutex_unlock(&lock);
    if (failed) return -1;
    return node ? 0 : real_sync_file_range(fd, offset, size, flags);
}

static void renamed_folder(const char *from, const char *to) {
    char old[PATH_MAX], new[PATH_MAX];
    size_t n = strlen(from);
    for (size_t b = 0; b < BUCKETS; b++) {
        for (struct node *node = nodes[b]; node; node = node->next) {
            char **paths[] = {&node->path, &node->durable};
            for (int i = 0; i < 2; i++) {
                char *path = *paths[i];
                if (!path || strncmp(path, from, n) || path[n] != '/') continue;
                if (snprintf(new, sizeof new, "%s%s", to, path + n) >= (int)sizeof new) fail("rename", path);
                *paths[i] = copy_of(new);
                free(path);
            }
        }
    }
    if (!shadow_has(from)) return;
    shadow_folders(to);
    in_shadow(from, old);
    in_shadow(to, new);
    if (real_renameat(AT_FDCWD, old, AT_FDCWD, new)) fail("rename", old);
}

static void renamed(struct node *node, const char *from, const char *to, struct node *replaced) {
    if (replaced && replaced != node) {
        free(replaced->path);
        replaced->path = NULL;
    }
    free(node->path);
    node->path = to ? copy_of(to) : NULL;
    if (!to && shadow) {
        if (node->durable) shadow_remove(node->durable, 0);
        shadow_remove(from, 0);
    }
}

static int shim_rename(int from_at, const char *from, int to_at, const char *to) {
    char old[PATH_MAX], new[PATH_MAX];
    struct stat st, target;
    const char *old_below = active() && absolute(from_at, from, old) ? within(old) : NULL;
    const char *new_below = active() && absolute(to_at, to, new) ? within(new) : NULL;
    if (!old_below && !new_below) return real_renameat(from_at, from, to_at, to);
    pthread_mutex_lock(&lock);
    int known = !lstat(old, &st), replaces = new_below && !lstat(new, &target);
    int file = known && S_ISREG(st.st_mode), dir = known && S_ISDIR(st.st_mode);
    struct node *node = NULL;
    /* A file from elsewhere has nothing in the shadow yet; all of it is dirty. */
    if (file) node = old_below ? of_stat(&st, old_below) : track(&st, new_below, 0);
    if (file && !old_below) {
        free(node->durable);
        node->durable = NULL;
    }
    struct node *replaced = replaces && S_ISREG(target.st_mode) ? of_stat(&target, new_below) : NULL;
    step();
    int result = real_renameat(from_at, from, to_at, to);
    int error = errno;
    if (!result && file) renamed(node, old_below, new_below, replaced);
    if (!result && dir && old_below && new_below) renamed_folder(old_below, new_below);
    if (result && file && !old_below) forget(node);
    errno = error;
    pthread_mutex_unlock(&lock);
    return result;
}

int rename(const char *from, const char *to) {
    pthread_once(&once, init);
    return shim_rename(AT_FDCWD, from, AT_FDCWD, to);
}

int renameat(int from_at, const char *from, int to_at, const char *to) {
    pthread_once(&once, init);
    return shim_rename(from_at, from, to_at, to);
}

static void unlinked(const struct stat *st, const char *path) {
    struct node *node = *slot(st->st_dev, st->st_ino);
    if (node) {
        free(node->path);
        node->path = NULL;
    }
    if (!shadow) return;
    char parent[PATH_MAX];
    parent_of(path, parent);
    force_names(parent);
    if (node && node->durable) shadow_remove(node->durable, 0);
    shadow_remove(path, 0);
    if (node) {
        free(node->durable);
        node->durable = NULL;
    }
}

static int shim_unlink(int at, const char *path, int flags) {
    char name[PATH_MAX];
    struct stat st;
    const char *below = active() && absolute(at, path, name) ? within(name) : NULL;
    if (!below) return real_unlinkat(at, path, flags);
    pthread_mutex_lock(&lock);
    int known = !lstat(name, &st);
    step();
    int result = real_unlinkat(at, path, flags);
    int error = errno;
    if (!result && known && S_ISREG(st.st_mode)) {
        unlinked(&st, below);
        if (full_flag && !access(full_flag, F_OK)) given += st.st_size;
    }
    if (!result && known && S_ISDIR(st.st_mode) && shadow) shadow_remove(below, AT_REMOVEDIR);
    errno = error;
    pthread_mutex_unlock(&lock);
    return result;
}

int unlink(const char *path) {
    pthread_once(&once, init);
    return shim_unlink(AT_FDCWD, path, 0);
}

int unlinkat(int at, const char *path, int flags) {
    pthread_once(&once, init);
    return shim_unlink(at, path, flags);
}

int rmdir(const char *path) {
    pthread_once(&once, init);
    return shim_unlink(AT_FDCWD, path, AT_REMOVEDIR);
}

static int shim_mkdir(int at, const char *path, mode_t mode) {
    char name[PATH_MAX];
    if (!active() || !absolute(at, path, name) || !within(name)) return real_mkdirat(at, path, mode);
    pthread_mutex_lock(&lock);
    int result = -1;
    if (disk_full(0) && access(name, F_OK)) {
        errno = ENOSPC;
    } else {
        step();
        result = real_mkdirat(at, path, mode);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int mkdir(const char *path, mode_t mode) {
    pthread_once(&once, init);
    return shim_mkdir(AT_FDCWD, path, mode);
}

int mkdirat(int at, const char *path, mode_t mode) {
    pthread_once(&once, init);
    return shim_mkdir(at, path, mode);
}
