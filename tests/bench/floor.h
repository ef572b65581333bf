/* What the C floors share: a clock, an end with a message, and the answer that rounds.py reads.
 *
 * A line is "mean cpu seen t t t ...": nanoseconds that one took, of the processor too, how many different pictures were
 * seen, and up to 200 of the times, evenly spaced in their order.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SAMPLE = 200 };

static double clock_of(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static double now(void)
{
    return clock_of(CLOCK_MONOTONIC);
}

static double cpu(void)
{
    return clock_of(CLOCK_PROCESS_CPUTIME_ID);
}

static void *failed(const char *what)
{
    fprintf(stderr, "floor: %s\n", what);
    exit(1);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The sum of some pixels, the first and those at each quarter, so that the picture is not only asked for. */
static inline uint32_t touched(const uint32_t *pixels, size_t count)
{
    if (count < 8)
        return pixels[0];
    return pixels[0] + pixels[count / 4] + pixels[count / 2] + pixels[count / 4 * 3];
}

static void answer(double *times, int count, double cpu_used, int seen)
{
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += times[i];
    qsort(times, count, sizeof *times, by_value);
    printf("%f %f %d", sum / count, cpu_used / count, seen);
    int most = count < SAMPLE ? count : SAMPLE;
    for (int i = 0; i < most; i++)
        printf(" %.0f", times[(size_t)((i + 0.5) * count / most)]);
    puts("");
    fflush(stdout);
}
