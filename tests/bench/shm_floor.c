/* The floor: what ShmGetImage costs in C. A loop over xcb, one round trip for each picture, of which some pixels are read.
 *
 *     shm_floor DISPLAY WIDTH HEIGHT [drawn PERCENT | memcpy | once]
 *
 * With `drawn`, a part of the screen is drawn anew before each picture, which is not counted: the server's processor then
 * has other lines in its cache than after reading the same screen over and over. `memcpy` copies as many bytes instead.
 * `once` takes one picture and ends: what a process has to do at least.
 *
 * Reads a number of repetitions a line, answers with what they took (floor.h).
 */
#include "floor.h"
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <xcb/shm.h>
#include <xcb/xcb.h>

int main(int argc, char **argv)
{
    if (argc < 4)
        failed("usage: shm_floor DISPLAY WIDTH HEIGHT [drawn PERCENT | memcpy | once]");
    int width = atoi(argv[2]), height = atoi(argv[3]), screen;
    const char *mode = argc > 4 ? argv[4] : "";
    int rows = argc > 5 ? height * atof(argv[5]) / 100 + 0.5 : height;
    xcb_connection_t *x = xcb_connect(argv[1], &screen);
    if (xcb_connection_has_error(x))
        failed("no connection");
    xcb_drawable_t root = xcb_setup_roots_iterator(xcb_get_setup(x)).data->root;

    size_t count = (size_t)width * height;
    int id = shmget(IPC_PRIVATE, count * 4, IPC_CREAT | 0600);
    uint32_t *pixels = id < 0 ? failed("shmget") : shmat(id, NULL, 0);
    shmctl(id, IPC_RMID, NULL);
    if (pixels == (void *)-1)
        failed("shmat");
    xcb_shm_seg_t segment = xcb_generate_id(x);
    if (xcb_request_check(x, xcb_shm_attach_checked(x, segment, id, 0)))
        failed("the server does not attach the segment");

    xcb_gcontext_t gc = xcb_generate_id(x);
    xcb_create_gc(x, gc, root, 0, NULL);
    xcb_rectangle_t all = {0, 0, width, rows};
    int draws = !strcmp(mode, "drawn") && rows, copies = !strcmp(mode, "memcpy"), once = !strcmp(mode, "once");
    void *source = copies ? malloc(count * 4) : NULL;
    if (source)
        memset(source, 0x55, count * 4);

    if (!once)
        puts("ready");
    fflush(stdout);
    int repetitions = 1;
    while (once || scanf("%d", &repetitions) == 1) {
        double *times = malloc(repetitions * sizeof *times), used = 0;
        uint32_t last = 0;
        int seen = 0;
        for (int i = 0; i < repetitions; i++) {
            if (draws) {
                uint32_t colour = i + 1;
                xcb_change_gc(x, gc, XCB_GC_FOREGROUND, &colour);
                xcb_poly_fill_rectangle(x, root, gc, 1, &all);
                free(xcb_get_input_focus_reply(x, xcb_get_input_focus(x), NULL));
            }
            double cpu_start = draws ? cpu() : 0, start = now();
            if (!i && !draws)
                used -= cpu();
            if (copies) {
                memcpy(pixels, source, count * 4);
            } else {
                xcb_shm_get_image_cookie_t cookie =
                    xcb_shm_get_image(x, root, 0, 0, width, height, ~0, XCB_IMAGE_FORMAT_Z_PIXMAP, segment, 0);
                xcb_shm_get_image_reply_t *reply = xcb_shm_get_image_reply(x, cookie, NULL);
                if (!reply)
                    failed("ShmGetImage");
                free(reply);
            }
            uint32_t sum = touched(pixels, count);
            times[i] = now() - start;
            if (draws)
                used += cpu() - cpu_start;
            seen += !i || sum != last;
            last = sum;
        }
        if (!draws)
            used += cpu();
        if (once)
            break;
        answer(times, repetitions, used, seen);
        free(times);
    }
    xcb_disconnect(x);
    return 0;
}
