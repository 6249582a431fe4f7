/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/progress.h"

#include <inttypes.h>

#define INTERVAL 250 /*!< Milliseconds. */
#define CLEAR_LINE "\r\x1b[K"

void icp_progress_init(icp_progress_t *progress, FILE *out, int64_t (*clock)(void))
{
	*progress = (icp_progress_t){.out = out, .clock = clock};
	progress->begun = clock();
	progress->shown = progress->begun;
}

void icp_progress_read(
	icp_progress_t *progress, uint64_t octets, uint64_t octets_total, uint64_t rows)
{
	if (progress->out == NULL) {
		return;
	}
	int64_t now = progress->clock();
	if (now - progress->shown < INTERVAL) {
		return;
	}
	progress->shown = now;
	progress->visible = true;
	double seconds = icp_progress_seconds(progress);
	if (octets_total == 0) {
		fprintf(progress->out, CLEAR_LINE "reading  %" PRIu64 " rows  %.0f rows/s", rows,
			(double)rows / seconds);
		fflush(progress->out);
		return;
	}
	/* The file may have grown since its size was asked. */
	uint64_t done = octets < octets_total ? octets : octets_total;
	double left = done > 0 ? seconds * (double)(octets_total - done) / (double)done : 0;
	double percent = 100 * (double)done / (double)octets_total;
	fprintf(progress->out,
		CLEAR_LINE "reading %3.0f%%  %" PRIu64 " rows  %.0f rows/s  %.0f s left", percent,
		rows, (double)rows / seconds, left);
	fflush(progress->out);
}

void icp_progress_step(icp_progress_t *progress, const char *what)
{
	if (progress->out != NULL) {
		progress->visible = true;
		fprintf(progress->out, CLEAR_LINE "%s", what);
		fflush(progress->out);
	}
}

void icp_progress_clear(icp_progress_t *progress)
{
	if (progress->visible) {
		progress->visible = false;
		fputs(CLEAR_LINE, progress->out);
		fflush(progress->out);
	}
}

double icp_progress_seconds(const icp_progress_t *progress)
{
	return (double)(progress->clock() - progress->begun) / 1000;
}
