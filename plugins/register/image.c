/* SPDX-License-Identifier: Apache-2.0 */
#include "image.h"
#include <math.h>
#include <png.h>
#include <string.h>

/* Seven rows of five dots, as five columns; the lowest bit is on top. */
static const struct glyph {
    char character;
    uint8_t columns[5];
} glyphs[] = {
    { '2', { 0x42, 0x61, 0x51, 0x49, 0x46 } }, { '3', { 0x21, 0x41, 0x45, 0x4b, 0x31 } },
    { '4', { 0x18, 0x14, 0x12, 0x7f, 0x10 } }, { '6', { 0x3c, 0x4a, 0x49, 0x49, 0x30 } },
    { '7', { 0x01, 0x71, 0x09, 0x05, 0x03 } }, { '8', { 0x36, 0x49, 0x49, 0x49, 0x36 } },
    { '9', { 0x06, 0x49, 0x49, 0x29, 0x1e } }, { 'A', { 0x7e, 0x11, 0x11, 0x11, 0x7e } },
    { 'C', { 0x3e, 0x41, 0x41, 0x41, 0x22 } }, { 'E', { 0x7f, 0x49, 0x49, 0x49, 0x41 } },
    { 'F', { 0x7f, 0x09, 0x09, 0x09, 0x01 } }, { 'H', { 0x7f, 0x08, 0x08, 0x08, 0x7f } },
    { 'K', { 0x7f, 0x08, 0x14, 0x22, 0x41 } }, { 'L', { 0x7f, 0x40, 0x40, 0x40, 0x40 } },
    { 'M', { 0x7f, 0x02, 0x0c, 0x02, 0x7f } }, { 'N', { 0x7f, 0x04, 0x08, 0x10, 0x7f } },
    { 'P', { 0x7f, 0x09, 0x09, 0x09, 0x06 } }, { 'R', { 0x7f, 0x09, 0x19, 0x29, 0x46 } },
    { 'T', { 0x01, 0x01, 0x7f, 0x01, 0x01 } }, { 'U', { 0x3f, 0x40, 0x40, 0x40, 0x3f } },
    { 'W', { 0x3f, 0x40, 0x38, 0x40, 0x3f } }, { 'X', { 0x63, 0x14, 0x08, 0x14, 0x63 } },
    { 'Y', { 0x07, 0x08, 0x70, 0x08, 0x07 } },
};
const bool image_works = true;
const char image_alphabet[] = "2346789ACEFHKLMNPRTUWXY";

enum { DOT = 6, STEP = 37, LEFT = 12, TOP = 14, SPECKS = 60, PAPER = 250, INK = 40, STROKES = 3 };

static const struct glyph *glyph_of(char character) {
    for (size_t i = 0; i < sizeof glyphs / sizeof glyphs[0]; i++)
        if (glyphs[i].character == character)
            return &glyphs[i];
    return NULL;
}

/* Whether the text, if nothing bent it, is black there. */
static int is_ink(const char *text, const uint8_t *random, int x, int y) {
    int place = (x - LEFT) / STEP, column = ((x - LEFT) % STEP) / DOT;
    if (x < LEFT || place >= IMAGE_CHARACTERS || column >= 5)
        return 0;
    y -= TOP + random[place] % 13 - 6;
    const struct glyph *g = glyph_of(text[place]);
    return g && y >= 0 && y < 7 * DOT && g->columns[column] >> (y / DOT) & 1;
}

/* All of it waves, at random. */
static void draw_text(uint8_t *pixels, const char *text, const uint8_t *random) {
    double turn = 2 * M_PI / 256, across = 3 + random[8] / 128.0, down = 2 + random[9] / 128.0;
    for (int y = 0; y < IMAGE_HEIGHT; y++) {
        for (int x = 0; x < IMAGE_WIDTH; x++) {
            int from_x = x + (int)lround(across * sin(y / 9.0 + random[10] * turn));
            int from_y = y + (int)lround(down * sin(x / 13.0 + random[11] * turn));
            pixels[y * IMAGE_WIDTH + x] = is_ink(text, random, from_x, from_y) ? INK : PAPER;
        }
    }
}

static void draw_noise(uint8_t *pixels, const uint8_t *random) {
    for (int i = 0; i < STROKES; i++) {
        const uint8_t *r = random + 16 + 4 * i;
        for (int x = 0; x < IMAGE_WIDTH; x++) {
            double y = IMAGE_HEIGHT * r[0] / 256.0 + (r[1] - 128) / 6.0 * sin(x / (20.0 + r[2] / 8.0) + r[3]);
            if (y >= 0 && y < IMAGE_HEIGHT)
                pixels[(int)y * IMAGE_WIDTH + x] = INK;
        }
    }
    for (int i = 0; i < SPECKS; i++) {
        const uint8_t *r = random + 32 + 3 * i;
        pixels[r[0] % IMAGE_HEIGHT * IMAGE_WIDTH + (r[1] + r[2]) % IMAGE_WIDTH] = INK;
    }
}

size_t image_draw(const char *text, const uint8_t *random, uint8_t *pixels, uint8_t *out) {
    png_image image;
    png_alloc_size_t size = IMAGE_MAX;
    draw_text(pixels, text, random);
    draw_noise(pixels, random);
    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    image.width = IMAGE_WIDTH;
    image.height = IMAGE_HEIGHT;
    image.format = PNG_FORMAT_GRAY;
    return png_image_write_to_memory(&image, out, &size, 0, pixels, IMAGE_WIDTH, NULL) ? size : 0;
}
