// The values of a row, by column.
#pragma once

#include "pg/postgres.hpp"

namespace cc::pg {

/// `Column` is an enumeration or an index of `Count` columns. Plain data; the values belong to a memory context.
template <typename Column, std::size_t Count>
struct Row {
  static constexpr std::size_t kCount = Count;
  Datum values[Count];
  bool nulls[Count];

  /// Returns a row of NULLs.
  static Row Empty() {
    Row row;
    for (std::size_t i = 0; i < Count; ++i) {
      row.values[i] = Datum{0};
      row.nulls[i] = true;
    }
    return row;
  }
  NullableDatum At(Column column) const { return {values[Index(column)], nulls[Index(column)]}; }
  Datum Value(Column column) const { return values[Index(column)]; }
  bool IsNull(Column column) const { return nulls[Index(column)]; }
  void Set(Column column, Datum value) {
    values[Index(column)] = value;
    nulls[Index(column)] = false;
  }
  void Set(Column column, NullableDatum value) {
    values[Index(column)] = value.value;
    nulls[Index(column)] = value.isnull;
  }
  void SetNull(Column column) {
    values[Index(column)] = Datum{0};
    nulls[Index(column)] = true;
  }
  static constexpr std::size_t Index(Column column) { return static_cast<std::size_t>(column); }
};

}  // namespace cc::pg
