// SPDX-License-Identifier: GPL-2.0
/*
 * draw WIDTH HEIGHT: a program without libraries that shows pictures on the first display.
 *
 * For each number on stdin it draws the picture of that number, shows it, and prints
 * "drawn NUMBER". Pictures take turns in two buffers of the display's driver. Pixel n of a
 * picture is the n-th number after its own of x -> 1664525 x + 1013904223, by its upper 24 bits.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <drm/drm.h>
#include <drm/drm_mode.h>

static void die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(1);
}

static void call(int card, unsigned long request, void *argument, const char *what)
{
	if (ioctl(card, request, argument))
		die(what);
}

/* The first connector, the first controller, and the mode of that size. */
static void find(int card, uint32_t width, uint32_t height, uint32_t *connector, uint32_t *crtc,
		 struct drm_mode_modeinfo *mode)
{
	uint32_t connectors[8], crtcs[8];
	struct drm_mode_card_res resources = {
		.connector_id_ptr = (uintptr_t)connectors, .count_connectors = 8,
		.crtc_id_ptr = (uintptr_t)crtcs, .count_crtcs = 8 };
	struct drm_mode_get_connector get = {};
	struct drm_mode_modeinfo *modes;

	call(card, DRM_IOCTL_MODE_GETRESOURCES, &resources, "DRM_IOCTL_MODE_GETRESOURCES");
	*connector = connectors[0];
	*crtc = crtcs[0];
	get.connector_id = *connector;
	call(card, DRM_IOCTL_MODE_GETCONNECTOR, &get, "DRM_IOCTL_MODE_GETCONNECTOR");
	modes = calloc(get.count_modes, sizeof(*modes));
	get = (struct drm_mode_get_connector){ .connector_id = *connector,
					       .count_modes = get.count_modes,
					       .modes_ptr = (uintptr_t)modes };
	call(card, DRM_IOCTL_MODE_GETCONNECTOR, &get, "DRM_IOCTL_MODE_GETCONNECTOR");
	for (uint32_t i = 0; i < get.count_modes; i++)
		if (modes[i].hdisplay == width && modes[i].vdisplay == height) {
			*mode = modes[i];
			free(modes);
			return;
		}
	errno = ENOENT;
	die("a mode of that size");
}

/* A buffer for a picture. */
struct frame {
	uint32_t *pixels;
	uint32_t id, pitch;
};

static struct frame new_frame(int card, uint32_t width, uint32_t height)
{
	struct drm_mode_create_dumb create = { .width = width, .height = height, .bpp = 32 };
	struct drm_mode_map_dumb map = {};
	struct drm_mode_fb_cmd add = {};
	struct frame frame = {};

	call(card, DRM_IOCTL_MODE_CREATE_DUMB, &create, "DRM_IOCTL_MODE_CREATE_DUMB");
	add = (struct drm_mode_fb_cmd){ .width = width, .height = height, .pitch = create.pitch,
					.bpp = 32, .depth = 24, .handle = create.handle };
	call(card, DRM_IOCTL_MODE_ADDFB, &add, "DRM_IOCTL_MODE_ADDFB");
	map.handle = create.handle;
	call(card, DRM_IOCTL_MODE_MAP_DUMB, &map, "DRM_IOCTL_MODE_MAP_DUMB");
	frame.pixels = mmap(NULL, create.size, PROT_READ | PROT_WRITE, MAP_SHARED, card,
			    map.offset);
	if (frame.pixels == MAP_FAILED)
		die("mmap");
	frame.id = add.fb_id;
	frame.pitch = create.pitch / sizeof(*frame.pixels);
	return frame;
}

static void fill(struct frame *frame, uint32_t width, uint32_t height, uint32_t number)
{
	for (uint32_t y = 0; y < height; y++)
		for (uint32_t x = 0; x < width; x++) {
			number = number * 1664525 + 1013904223;
			frame->pixels[y * frame->pitch + x] = number >> 8;
		}
}

int main(int argc, char **argv)
{
	uint32_t width = argc == 3 ? atoi(argv[1]) : 0, height = argc == 3 ? atoi(argv[2]) : 0;
	int card = open("/dev/dri/card0", O_RDWR);
	struct drm_mode_modeinfo mode;
	uint32_t connector, crtc;
	struct frame frames[2];
	char line[32];

	if (card < 0)
		die("/dev/dri/card0");
	find(card, width, height, &connector, &crtc, &mode);
	for (int i = 0; i < 2; i++)
		frames[i] = new_frame(card, width, height);
	printf("ready\n");
	fflush(stdout);
	for (int i = 0; fgets(line, sizeof(line), stdin); i = !i) {
		struct drm_mode_crtc set = {
			.crtc_id = crtc, .fb_id = frames[i].id, .mode = mode, .mode_valid = 1,
			.set_connectors_ptr = (uintptr_t)&connector, .count_connectors = 1 };
		struct drm_mode_fb_dirty_cmd dirty = { .fb_id = frames[i].id };

		fill(&frames[i], width, height, atoi(line));
		call(card, DRM_IOCTL_MODE_SETCRTC, &set, "DRM_IOCTL_MODE_SETCRTC");
		call(card, DRM_IOCTL_MODE_DIRTYFB, &dirty, "DRM_IOCTL_MODE_DIRTYFB");
		printf("drawn %d\n", atoi(line));
		fflush(stdout);
	}
	return 0;
}
