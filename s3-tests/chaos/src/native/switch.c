/* A network of several hosts in one process: each is a TUN device, and this passes packets between them, late,
 * or never, as a table says. (Not every kernel has netem.)
 *
 *   switch TABLE PREFIX PORTS A.B.C
 *
 * makes the devices PREFIX0, PREFIX1 and so on, says "ready", and goes on until its input ends. The host at
 * port n has the address A.B.C.(10 + n). TABLE is a file of PORTS * PORTS entries of four little-endian u32,
 * by sender and then by receiver: the least and the greatest delay in microseconds, how many packets of a
 * million are lost, and nothing. It may change at any time. Packets of one pair never overtake each other.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PORTS_MAX = 16, PACKET_MAX = 65536, QUEUE_MAX = 4096, FIRST_HOST = 10, BURST = 64 };

struct link { uint32_t least_us, most_us, lost_per_million, unused; };
struct packet { struct packet *next; uint64_t due_us; size_t bytes; char data[]; };
struct queue { struct packet *first, **last; uint64_t last_due_us; int length; };

static int ports;
static int devices[PORTS_MAX];
static const volatile struct link *table;
static struct queue queues[PORTS_MAX][PORTS_MAX];

static void fail(const char *what) {
    fprintf(stderr, "switch: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000ull + t.tv_nsec / 1000;
}

static uint32_t roll(uint32_t sides) {
    static uint64_t state = 0x9e3779b97f4a7c15ull;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (state >> 11) % sides;
}

static int open_device(const char *prefix, int port) {
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) fail("/dev/net/tun");
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s%d", prefix, port);
    if (ioctl(fd, TUNSETIFF, &request) < 0) fail(request.ifr_name);
    return fd;
}

/* Puts a packet where it waits for its time; a receiver that is full loses it, as a network does. */
static void accept_packet(int from, const char *data, size_t bytes) {
    if (bytes < 20 || (data[0] & 0xf0) != 0x40) return;
    int to = (unsigned char)data[19] - FIRST_HOST;
    if (to < 0 || to >= ports) return;
    struct link link = *(const struct link *)&table[from * ports + to];
    struct queue *queue = &queues[from][to];
    if (roll(1000000) < link.lost_per_million || queue->length >= QUEUE_MAX) return;
    struct packet *packet = malloc(sizeof *packet + bytes);
    if (!packet) return;
    uint32_t spread = link.most_us > link.least_us ? roll(link.most_us - link.least_us) : 0;
    uint64_t due_us = now_us() + link.least_us + spread;
    if (due_us < queue->last_due_us) due_us = queue->last_due_us;
    packet->next = NULL;
    packet->due_us = queue->last_due_us = due_us;
    packet->bytes = bytes;
    memcpy(packet->data, data, bytes);
    if (!queue->first) queue->last = &queue->first;
    *queue->last = packet;
    queue->last = &packet->next;
    queue->length++;
}

/* Delivers what is due; milliseconds until the next packet is, or -1. */
static int deliver(void) {
    uint64_t now = now_us(), next = UINT64_MAX;
    for (int from = 0; from < ports; from++) {
        for (int to = 0; to < ports; to++) {
            struct queue *queue = &queues[from][to];
            while (queue->first && queue->first->due_us <= now) {
                struct packet *packet = queue->first;
                if (write(devices[to], packet->data, packet->bytes) < 0 && errno == EAGAIN) break;
                queue->first = packet->next;
                queue->length--;
                free(packet);
            }
            if (queue->first && queue->first->due_us < next) next = queue->first->due_us;
        }
    }
    if (next == UINT64_MAX) return -1;
    return next <= now ? 1 : (int)((next - now) / 1000 + 1);
}

int main(int argc, char **argv) {
    static char data[PACKET_MAX];
    if (argc != 5) {
        fprintf(stderr, "usage: switch TABLE PREFIX PORTS A.B.C\n");
        return 2;
    }
    ports = atoi(argv[3]);
    if (ports < 1 || ports > PORTS_MAX) fail("number of ports");
    int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
    if (fd < 0) fail(argv[1]);
    table = mmap(NULL, ports * ports * sizeof *table, PROT_READ, MAP_SHARED, fd, 0);
    if (table == MAP_FAILED) fail("mmap");
    struct pollfd polled[PORTS_MAX + 1] = {{.fd = STDIN_FILENO, .events = POLLIN}};
    for (int port = 0; port < ports; port++) {
        devices[port] = open_device(argv[2], port);
        polled[port + 1] = (struct pollfd){.fd = devices[port], .events = POLLIN};
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        int wait_ms = deliver();
        if (poll(polled, ports + 1, wait_ms) < 0 && errno != EINTR) fail("poll");
        if (polled[0].revents) return 0;
        for (int port = 0; port < ports; port++) {
            for (int n = 0; polled[port + 1].revents && n < BURST; n++) {
                ssize_t bytes = read(devices[port], data, sizeof data);
                if (bytes <= 0) break;
                accept_packet(port, data, bytes);
            }
        }
    }
}
