/* SPDX-License-Identifier: Apache-2.0 */
/* A picture of characters that people can read. */
#ifndef REGISTER_IMAGE_H
#define REGISTER_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IMAGE_WIDTH = 200, IMAGE_HEIGHT = 70, IMAGE_CHARACTERS = 5, IMAGE_RANDOM = 256, IMAGE_MAX = 32768 };

/* Whether this build can draw. */
extern const bool image_works;

/* Characters that do not look like others. */
extern const char image_alphabet[];

/* Draws TEXT, of image_alphabet, into PIXELS of IMAGE_WIDTH * IMAGE_HEIGHT bytes, and writes them as a PNG into OUT of
 * IMAGE_MAX bytes; RANDOM is IMAGE_RANDOM bytes.  The size, 0 if it failed. */
size_t image_draw(const char *text, const uint8_t *random, uint8_t *pixels, uint8_t *out);

#endif
