// Include this last in every file of src/core: the core knows no PostgreSQL. Were postgres.h to come in, palloc and ereport
// would be a keystroke away, and an ereport that jumps over a live C++ object is undefined behaviour.
#ifdef PG_VERSION_NUM
#error "src/core must not include a PostgreSQL header"
#endif
