// RapidJSON with the settings of this project. No other file includes it.
#pragma once

#include <stdexcept>

// A failed assertion would abort the backend and restart the server, so it becomes an exception, which json.cpp catches.
#define RAPIDJSON_ASSERT(condition)                                     \
  do {                                                                  \
    if (!(condition)) throw std::logic_error("RapidJSON: " #condition); \
  } while (false)
#define RAPIDJSON_NOEXCEPT_ASSERT(condition) static_cast<void>(0)

// Both belong to the baseline of their architecture, so no CPU check is needed.
#if defined(__SSE2__)
#define RAPIDJSON_SSE2
#elif defined(__ARM_NEON) && defined(__aarch64__)
#define RAPIDJSON_NEON
#endif

#include <rapidjson/reader.h>
