#include "core/invoice_info.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>

#include "core/trim.hpp"
#include "core/no_postgres.hpp"

namespace cc {
namespace {

constexpr bool IsPath(std::string_view member) noexcept { return member.find('.') != std::string_view::npos; }

// By length first: most comparisons then need no text.
constexpr bool IsBefore(std::string_view a, std::string_view b) noexcept {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

// Indices of the columns that are direct members, sorted by member name for a binary search.
constexpr std::size_t kMemberCount =
    static_cast<std::size_t>(std::count_if(kInvoiceColumns.begin(), kInvoiceColumns.end(), [](const InvoiceColumn& column) {
      return !column.member.empty() && !IsPath(column.member);
    }));

constexpr auto kByMember = [] {
  std::array<std::size_t, kMemberCount> order{};
  std::size_t count = 0;
  for (std::size_t i = 0; i < kInvoiceColumnCount; ++i)
    if (!kInvoiceColumns[i].member.empty() && !IsPath(kInvoiceColumns[i].member)) order[count++] = i;
  std::sort(order.begin(), order.end(),
            [](std::size_t a, std::size_t b) { return IsBefore(kInvoiceColumns[a].member, kInvoiceColumns[b].member); });
  return order;
}();

// Returns the column of this member; kInvoiceColumnCount if there is none.
std::size_t ColumnOf(std::string_view member) noexcept {
  const auto found = std::lower_bound(kByMember.begin(), kByMember.end(), member, [](std::size_t column, std::string_view name) {
    return IsBefore(kInvoiceColumns[column].member, name);
  });
  return found != kByMember.end() && kInvoiceColumns[*found].member == member ? *found : kInvoiceColumnCount;
}

// Returns the value at the end of a path such as "currency.network.code"; nullptr if there is none.
const Node* FindPath(const Document& document, const Node& object, std::string_view path) noexcept {
  const Node* node = &object;
  while (node != nullptr && !path.empty()) {
    const std::size_t end = std::min(path.find('.'), path.size());
    node = document.FindMember(*node, path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return node;
}

bool IsText(const Node& node) noexcept { return node.kind == Kind::kString || node.kind == Kind::kNumber; }

// Reads exactly `length` digits at the beginning of `text` and removes them.
bool TakeNumber(std::string_view& text, std::size_t length, int& value) noexcept {
  if (text.size() < length || text.substr(0, length).find_first_not_of("0123456789") != std::string_view::npos) return false;
  std::from_chars(text.data(), text.data() + length, value);
  text.remove_prefix(length);
  return true;
}

bool TakeOne(std::string_view& text, std::string_view allowed) noexcept {
  if (text.empty() || allowed.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

// Reads ".222439" and the like, in microseconds.
bool TakeFraction(std::string_view& text, int& microseconds) noexcept {
  microseconds = 0;
  if (!TakeOne(text, ".")) return true;
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  for (std::size_t i = 0; i < 6; ++i) microseconds = microseconds * 10 + (i < digits ? text[i] - '0' : 0);
  text.remove_prefix(digits);
  return digits > 0;
}

}  // namespace

InvoiceInfo ReadInvoiceInfo(const Document& document, const Node& info) noexcept {
  InvoiceInfo values{};
  if (info.kind != Kind::kObject) return values;
  const Node* const end = document.nodes + info.at;
  for (const Node* name = &info + 1; name < end; name = document.After(name + 1))
    if (const std::size_t column = ColumnOf(document.TextOf(*name)); column < values.size()) values[column] = name + 1;
  for (std::size_t i = 0; i < values.size(); ++i)
    if (IsPath(kInvoiceColumns[i].member)) values[i] = FindPath(document, info, kInvoiceColumns[i].member);
  return values;
}

bool ReadText(const Document& document, const Node& node, std::string_view& text) noexcept {
  if (node.kind != Kind::kString || node.size == 0) return false;
  text = document.TextOf(node);
  return true;
}

bool ReadNumber(const Document& document, const Node& node, Decimal& decimal) noexcept {
  return IsText(node) && ParseDecimal(Trim(document.TextOf(node)), decimal) && decimal.IsExact();
}

bool ReadTestMode(const Document& document, const Node& node, bool& is_test) noexcept {
  if (node.kind == Kind::kNull) return false;
  const std::string_view text = IsText(node) ? document.TextOf(node) : std::string_view{};
  is_test = node.kind != Kind::kFalse && text != "0" && !(node.kind == Kind::kString && text == "false");
  return true;
}

bool ConfirmsSuccess(const Document& document, const Node* invoice_status) noexcept {
  return IsAbsent(invoice_status) || (invoice_status->kind == Kind::kString && document.TextOf(*invoice_status) == "success");
}

bool ReadTime(const Document& document, const Node& node, std::int64_t& microseconds) noexcept {
  if (node.kind != Kind::kString) return false;
  std::string_view text = Trim(document.TextOf(node));
  int year, month, day, hour, minute, second, fraction;
  if (!TakeNumber(text, 4, year) || !TakeOne(text, "-") || !TakeNumber(text, 2, month) || !TakeOne(text, "-") ||
      !TakeNumber(text, 2, day) || !TakeOne(text, " T") || !TakeNumber(text, 2, hour) || !TakeOne(text, ":") ||
      !TakeNumber(text, 2, minute) || !TakeOne(text, ":") || !TakeNumber(text, 2, second) || !TakeFraction(text, fraction))
    return false;
  if (!text.empty() && text != "Z" && text != "+00:00") return false;

  using namespace std::chrono;
  const year_month_day date{std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(month)},
                            std::chrono::day{static_cast<unsigned>(day)}};
  if (!date.ok() || year == 0 || hour > 23 || minute > 59 || second > 59) return false;
  microseconds = duration_cast<std::chrono::microseconds>(sys_days{date}.time_since_epoch() + hours{hour} + minutes{minute} +
                                                          seconds{second} + std::chrono::microseconds{fraction})
                     .count();
  return true;
}

bool IsTextList(const Document& document, const Node& node) noexcept {
  if (node.kind != Kind::kArray || node.size == 0) return false;
  const Node* const first = &node + 1;
  return document.After(&node) == first + node.size &&
         std::all_of(first, first + node.size, [](const Node& element) { return element.kind == Kind::kString; });
}

}  // namespace cc
