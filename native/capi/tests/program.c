/* What a C program does with the library, from the first vector to a loaded file. Any failed check ends it with status 1. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "omendb.h"

#define DIM 8
#define COUNT 500

#define CHECK(condition)                                                                                     \
  do {                                                                                                       \
    if (!(condition)) {                                                                                      \
      fprintf(stderr, "line %d: %s (last error: %s)\n", __LINE__, #condition, omen_last_error());            \
      exit(1);                                                                                               \
    }                                                                                                        \
  } while (0)

static float vectors[COUNT][DIM];

/* The nearest of the vectors whose labels pass, by measuring all. */
static uint64_t nearest(const float *query, uint64_t step) {
  uint64_t best = 0;
  float best_distance = INFINITY;
  for (uint64_t row = 0; row < COUNT; row += step) {
    float distance = 0;
    for (int i = 0; i < DIM; i++) distance += (vectors[row][i] - query[i]) * (vectors[row][i] - query[i]);
    if (distance < best_distance) best_distance = distance, best = row;
  }
  return best;
}

static void *search_all(void *index) {
  for (int row = 0; row < COUNT; row++) {
    omen_search search = {.k = 3, .ef = 64};
    uint64_t labels[3];
    float distances[3];
    size_t found;
    CHECK(omen_index_search(index, vectors[row], &search, labels, distances, &found) == OMEN_OK);
    CHECK(found == 3 && labels[0] == (uint64_t)row && distances[0] == 0);
  }
  return NULL;
}

int main(int argc, char **argv) {
  CHECK(argc == 2 && strlen(omen_version()) > 0);
  srand(1);
  for (int row = 0; row < COUNT; row++)
    for (int i = 0; i < DIM; i++) vectors[row][i] = (float)rand() / (float)RAND_MAX;

  omen_options options = {.dim = DIM, .metric = OMEN_L2, .element = OMEN_FLOAT32, .m = 12, .seed = 5};
  omen_index *index = NULL;
  CHECK(omen_index_create(NULL, &index) == OMEN_INVALID_ARGUMENT && index == NULL);
  CHECK(strcmp(omen_last_error(), "options is NULL") == 0);
  CHECK(omen_index_create(&options, &index) == OMEN_OK);
  CHECK(omen_index_add(index, vectors, NULL, COUNT, 0) == OMEN_OK);
  CHECK(omen_index_count(index) == COUNT);
  CHECK(omen_index_memory_bytes(index) > sizeof vectors);

  pthread_t threads[2];
  for (int i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, search_all, index) == 0);
  for (int i = 0; i < 2; i++) CHECK(pthread_join(threads[i], NULL) == 0);

  /* Every seventh label, as a filter. */
  uint64_t filter[(COUNT + 63) / 64] = {0};
  for (int row = 0; row < COUNT; row += 7) filter[row / 64] |= UINT64_C(1) << (row % 64);
  omen_search search = {.k = COUNT, .filter = filter, .filter_bits = COUNT};
  uint64_t labels[COUNT];
  float distances[COUNT];
  size_t found;
  float query[DIM] = {0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f};
  CHECK(omen_index_search(index, query, &search, labels, distances, &found) == OMEN_OK);
  CHECK(found == (COUNT + 6) / 7 && labels[0] == nearest(query, 7));
  for (size_t i = 1; i < found; i++) CHECK(labels[i] % 7 == 0 && distances[i - 1] <= distances[i]);

  size_t removed;
  CHECK(omen_index_remove(index, labels, 10, &removed) == OMEN_OK && removed == 10);
  CHECK(omen_index_remove(index, labels, 10, NULL) == OMEN_OK);
  CHECK(omen_index_count(index) == COUNT - 10);

  CHECK(omen_index_save(index, argv[1]) == OMEN_OK);
  omen_index *loaded = NULL;
  CHECK(omen_index_load(argv[1], 1, &loaded) == OMEN_OK);
  CHECK(omen_index_count(loaded) == COUNT - 10);
  omen_options kept;
  CHECK(omen_index_options(loaded, &kept) == OMEN_OK);
  CHECK(kept.dim == DIM && kept.m == 12 && kept.ef_construction == 200 && kept.seed == 5);
  CHECK(omen_index_add(loaded, vectors, NULL, 3, 1) == OMEN_OK);
  CHECK(omen_index_count(loaded) == COUNT - 7 && omen_index_count(index) == COUNT - 10);
  omen_index_close(loaded);
  CHECK(omen_index_load("/nonexistent", 0, &loaded) == OMEN_IO);

  omen_index_close(index);
  omen_index_close(NULL);
  puts("done");
  return 0;
}
