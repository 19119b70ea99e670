/* SPDX-License-Identifier: Apache-2.0 */
/* A pool of threads for work that blocks or computes. */
#ifndef RUN_OFFLOAD_H
#define RUN_OFFLOAD_H

struct offload_job {
    struct offload_job *next;
    void (*run)(struct offload_job *job); /* in a pool thread; it reports back by worker_post() or an op */
};
int offload_start(unsigned threads);
void offload_stop(void); /* finishes what is queued */
void offload(struct offload_job *job);

#endif
