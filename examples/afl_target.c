/* A target for afl_coverage.py: takes a line apart, and goes other ways for other bytes. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    FILE *input = argc > 1 ? fopen(argv[1], "r") : stdin;
    int depth = 0, digits = 0;
    if (!input) return 2;
    for (int byte; (byte = fgetc(input)) != EOF;) {
        if (byte == '(') depth++;
        else if (byte == ')') depth--;
        else if (byte >= '0' && byte <= '9') digits++;
        else if (byte == '!') abort();
        if (depth < 0) return 1;
    }
    printf("depth %d, %d digits\n", depth, digits);
    return depth != 0;
}
