/* The floor: what ShmGetImage costs in C. A loop over xcb, one round trip for each picture, nothing done with it.
 *
 *     shm_floor DISPLAY WIDTH HEIGHT [drawn]
 *
 * With `drawn`, all of the screen is drawn anew before each picture, which is not counted: the server's processor then
 * has other lines in its cache than after reading the same screen over and over.
 *
 * Reads a number of repetitions a line, writes the nanoseconds that one took (rounds.py).
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <time.h>
#include <xcb/shm.h>
#include <xcb/xcb.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static void *failed(const char *what)
{
    fprintf(stderr, "shm_floor: %s\n", what);
    exit(1);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        failed("usage: shm_floor DISPLAY WIDTH HEIGHT [drawn]");
    int width = atoi(argv[2]), height = atoi(argv[3]), screen;
    xcb_connection_t *x = xcb_connect(argv[1], &screen);
    if (xcb_connection_has_error(x))
        failed("no connection");
    xcb_drawable_t root = xcb_setup_roots_iterator(xcb_get_setup(x)).data->root;

    int id = shmget(IPC_PRIVATE, (size_t)width * height * 4, IPC_CREAT | 0600);
    void *pixels = id < 0 ? failed("shmget") : shmat(id, NULL, 0);
    shmctl(id, IPC_RMID, NULL);
    if (pixels == (void *)-1)
        failed("shmat");
    xcb_shm_seg_t segment = xcb_generate_id(x);
    if (xcb_request_check(x, xcb_shm_attach_checked(x, segment, id, 0)))
        failed("the server does not attach the segment");

    xcb_gcontext_t gc = xcb_generate_id(x);
    xcb_create_gc(x, gc, root, 0, NULL);
    xcb_rectangle_t all = {0, 0, width, height};

    puts("ready");
    fflush(stdout);
    int repetitions;
    while (scanf("%d", &repetitions) == 1) {
        double took = 0;
        for (int i = 0; i < repetitions; i++) {
            if (argc > 4) {
                uint32_t colour = i + 1;
                xcb_change_gc(x, gc, XCB_GC_FOREGROUND, &colour);
                xcb_poly_fill_rectangle(x, root, gc, 1, &all);
                free(xcb_get_input_focus_reply(x, xcb_get_input_focus(x), NULL));
            }
            double start = now();
            xcb_shm_get_image_cookie_t cookie =
                xcb_shm_get_image(x, root, 0, 0, width, height, ~0, XCB_IMAGE_FORMAT_Z_PIXMAP, segment, 0);
            xcb_shm_get_image_reply_t *reply = xcb_shm_get_image_reply(x, cookie, NULL);
            if (!reply)
                failed("ShmGetImage");
            took += now() - start;
            free(reply);
        }
        printf("%f\n", took / repetitions);
        fflush(stdout);
    }
    xcb_disconnect(x);
    return 0;
}
