// Include this last in every file of src/core. With postgres.h, code here could call palloc and ereport, and an ereport that
// skips the destructor of a C++ object is undefined behaviour.
#ifdef PG_VERSION_NUM
#error "src/core must not include a PostgreSQL header"
#endif
