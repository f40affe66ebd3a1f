/* What detail_control measures of a model beside the probes, and keeps for its figure. */
#ifndef DETAIL_CONTROL_DETAIL_H
#define DETAIL_CONTROL_DETAIL_H

#include "drl/eval.h"

/* Rows of a run. The errors are of images sampled with the code of an image, against that image, over those of images
 * sampled with the codes of others: 1 where a code says nothing of these frequencies, 0 where all. */
#define DETAIL_KNN        "detail_knn_accuracy" /* k nearest by Euclidean distance of standardised codes */
#define DETAIL_SILHOUETTE "detail_silhouette"   /* of the classes, standardised codes                    */
#define DETAIL_LOW        "detail_low_error"    /* in the means of DETAIL_BLOCK x DETAIL_BLOCK pixels    */
#define DETAIL_HIGH       "detail_high_error"   /* in what these leave                                   */

#define DETAIL_DONE "detail_measured" /* put last, with what the others hold for as its value     */

#define DETAIL_BLOCK 4

/* drl_eval_program.measure: the rows, and the picture of the first two dimensions of the codes. */
drl_status detail_measure(const drl_subject *s, drl_err *err);

/* A picture: test codes, their central 90 % in either dimension mapped to [-1, 1], and a grid of images sampled from
 * codes there, with the same noise. Codes of one dimension have the second at 0. */
#define DETAIL_POINTS 2000
#define DETAIL_GRID   8
typedef struct detail_picture {
    size_t points, side, channels; /* grid: (DETAIL_GRID side)^2 pixels of `channels` bytes */
    float place[DETAIL_POINTS][2];
    int32_t label[DETAIL_POINTS];
    uint8_t *grid;
    char key[65]; /* of the model */
} detail_picture;

/* How many of the test images are points of a picture: the first ones. */
size_t detail_points(const drl_images *test);

/* What detail_measure keeps of a run, OUT/detail/run-N.safetensors. picture->grid is to be freed, where DRL_OK is
 * returned. ERR_IO, ERR_FORMAT. */
drl_status detail_write(const detail_picture *picture, const char *out, int64_t run, drl_err *err);
drl_status detail_read(detail_picture *picture, const char *out, int64_t run, drl_err *err);

/* The run whose picture the figure shows: of an arm's seed 1. 0: there is none, and no panel either. */
int64_t detail_run(const drl_evaluation *e, size_t arm);

/* What the figure shows is no rows: detail_export writes it beside them, STEM-pictures.safetensors (pictures.c says
 * what is in it; equal pictures and rows give equal bytes), and prints where. detail_import takes such a file of
 * e->from and puts its pictures where detail_read finds them, after all of them were looked at: whoever has the rows
 * and this file has the figure. ERR_NOT_FOUND, and ERR_FORMAT where it is damaged or belongs to other arms, images or
 * rows. */
drl_status detail_export(const drl_evaluation *e, drl_err *err);
drl_status detail_import(const drl_evaluation *e, drl_err *err);

#endif
