/* The floor: what ShmPutImage costs in C. A loop over xcb; each picture is waited for, by its Completion.
 *
 *     put_floor DISPLAY Y WIDTH HEIGHT [copy]
 *
 * Opens a window at 0, Y. With `copy` every picture is copied into the segment before, from other memory. Reads a number
 * of repetitions a line, answers with what they took (floor.h).
 */
#include "floor.h"
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <xcb/shm.h>
#include <xcb/xcb.h>

static void wait_for(xcb_connection_t *x, uint8_t type)
{
    for (;;) {
        xcb_generic_event_t *event = xcb_wait_for_event(x);
        if (!event || !event->response_type)
            failed("an error in place of the event");
        int found = (event->response_type & 0x7f) == type;
        free(event);
        if (found)
            return;
    }
}

int main(int argc, char **argv)
{
    if (argc < 5)
        failed("usage: put_floor DISPLAY Y WIDTH HEIGHT [copy]");
    int top = atoi(argv[2]), width = atoi(argv[3]), height = atoi(argv[4]), number;
    xcb_connection_t *x = xcb_connect(argv[1], &number);
    if (xcb_connection_has_error(x))
        failed("no connection");
    xcb_screen_t *screen = xcb_setup_roots_iterator(xcb_get_setup(x)).data;

    size_t size = (size_t)width * height * 4;
    int id = shmget(IPC_PRIVATE, size, IPC_CREAT | 0600);
    void *pixels = id < 0 ? failed("shmget") : shmat(id, NULL, 0);
    shmctl(id, IPC_RMID, NULL);
    if (pixels == (void *)-1)
        failed("shmat");
    memset(pixels, 0x55, size);
    void *picture = argc > 5 ? malloc(size) : NULL;
    if (picture)
        memset(picture, 0xaa, size);
    xcb_shm_seg_t segment = xcb_generate_id(x);
    if (xcb_request_check(x, xcb_shm_attach_checked(x, segment, id, 0)))
        failed("the server does not attach the segment");

    xcb_window_t window = xcb_generate_id(x);
    uint32_t values[] = {1, XCB_EVENT_MASK_EXPOSURE};
    xcb_create_window(x, XCB_COPY_FROM_PARENT, window, screen->root, 0, top, width, height, 0,
                      XCB_WINDOW_CLASS_INPUT_OUTPUT, XCB_COPY_FROM_PARENT,
                      XCB_CW_OVERRIDE_REDIRECT | XCB_CW_EVENT_MASK, values);
    xcb_gcontext_t gc = xcb_generate_id(x);
    xcb_create_gc(x, gc, window, 0, NULL);
    xcb_map_window(x, window);
    xcb_flush(x);
    wait_for(x, XCB_EXPOSE);
    uint8_t completion = xcb_get_extension_data(x, &xcb_shm_id)->first_event + XCB_SHM_COMPLETION;

    puts("ready");
    fflush(stdout);
    int repetitions;
    while (scanf("%d", &repetitions) == 1) {
        double *times = malloc(repetitions * sizeof *times), used = cpu();
        for (int i = 0; i < repetitions; i++) {
            double start = now();
            if (picture)
                memcpy(pixels, picture, size);
            xcb_shm_put_image(x, window, gc, width, height, 0, 0, width, height, 0, 0, screen->root_depth,
                              XCB_IMAGE_FORMAT_Z_PIXMAP, 1, segment, 0);
            xcb_flush(x);
            wait_for(x, completion);
            times[i] = now() - start;
        }
        answer(times, repetitions, cpu() - used, 0);
        free(times);
    }
    xcb_disconnect(x);
    return 0;
}
