#include "pg/jsonb.hpp"

#include <algorithm>
#include <cstring>

#include "pg/numeric.hpp"

extern "C" {
#include "miscadmin.h"
#include "port/pg_bswap.h"
}

namespace cc::pg {
namespace {

// A member and its sort key: jsonb orders keys by length, then by bytes. In a form, members of the same name that follow
// each other are one to the sort: the service repeats invoice_info for each key of that object.
struct Member {
  std::uint64_t rank;  // the length, then the first five bytes
  std::uint64_t rest;  // the next eight bytes
  std::uint32_t name;  // index of its node
  std::uint32_t last;  // index of the last name that follows and is the same
};

// The names that `rank` and `rest` hold whole: nearly all.
constexpr std::size_t kRankedLength = 13;

// `count` bytes of the name from `begin` on, the first one highest; zeros behind its end.
std::uint64_t BytesOf(std::string_view name, std::size_t begin, std::size_t count) noexcept {
  unsigned char bytes[sizeof(std::uint64_t)] = {};
  if (begin < name.size()) std::memcpy(bytes + sizeof(bytes) - count, name.data() + begin, std::min(count, name.size() - begin));
  std::uint64_t value;
  std::memcpy(&value, bytes, sizeof(value));
  return pg_ntoh64(value);
}

Member MemberFrom(std::string_view name, std::uint32_t node) noexcept {
  return {name.size() << 40 | BytesOf(name, 0, 5), BytesOf(name, 5, 8), node, node};
}

class JsonbWriter {
 public:
  JsonbWriter(const Document& document, const Node& root)
      : document_(document), buffer_(static_cast<char*>(palloc(MaxSize(root)))), end_(buffer_ + VARHDRSZ),
        members_(static_cast<Member*>(palloc(MemberCount(root) * sizeof(Member)))), free_member_(members_) {}

  Jsonb* Write(const Node& root, RootMembers members) {
    WriteContainer(root, members);
    pfree(members_);
    auto* const jsonb = reinterpret_cast<Jsonb*>(buffer_);
    SET_VARSIZE(jsonb, end_ - buffer_);
    return jsonb;
  }

 private:
  // Returns an upper bound: for each node its JEntry, padding, and a header or a number or a string.
  std::size_t MaxSize(const Node& root) const {
    constexpr std::size_t kEachNode = sizeof(JEntry) + 3 + 8 + 4;
    std::size_t size = VARHDRSZ;
    for (const Node* node = &root; node < document_.After(&root); ++node)
      size += kEachNode + (node->kind == Kind::kNumber || node->kind == Kind::kString ? node->size : 0);
    // The array for a repeated name of a form is no node. There is at most one for each two members.
    return size + root.size / 2 * kEachNode;
  }

  std::size_t MemberCount(const Node& root) const {
    std::size_t count = 1;
    for (const Node* node = &root; node < document_.After(&root); ++node)
      if (node->kind == Kind::kObject) count += node->size;
    return count;
  }

  // Everything except strings begins at a multiple of four.
  void Align() noexcept {
    while ((end_ - buffer_) % 4 != 0) *end_++ = '\0';
  }

  void WriteBytes(const void* bytes, std::size_t size) noexcept {
    std::memcpy(end_, bytes, size);
    end_ += size;
  }

  // The header of a container, and the place of its JEntries, which are filled in as its children are written.
  struct Entries {
    char* first;  // any address that is a multiple of four
    std::uint32_t done = 0;
    std::uint32_t total_length = 0;
  };

  Entries Begin(std::uint32_t header, std::uint32_t entry_count) noexcept {
    Align();
    WriteBytes(&header, sizeof(header));
    Entries entries{end_};
    end_ += entry_count * sizeof(JEntry);
    return entries;
  }

  // Ends a child: `type` is its kind, `start` where its bytes begin, padding included.
  void Finish(Entries& entries, std::uint32_t type, const char* start) noexcept {
    const auto length = static_cast<std::uint32_t>(end_ - start);
    entries.total_length += length;
    // At regular intervals an entry holds the end's offset instead of the length, for fast access by position.
    const JEntry entry = entries.done % JB_OFFSET_STRIDE == 0 ? type | JENTRY_HAS_OFF | entries.total_length : type | length;
    std::memcpy(entries.first + entries.done * sizeof(JEntry), &entry, sizeof(entry));
    ++entries.done;
  }

  void WriteValue(Entries& entries, const Node& node) {
    char* const start = end_;
    switch (node.kind) {
      case Kind::kNull: return Finish(entries, JENTRY_ISNULL, start);
      case Kind::kFalse: return Finish(entries, JENTRY_ISBOOL_FALSE, start);
      case Kind::kTrue: return Finish(entries, JENTRY_ISBOOL_TRUE, start);
      case Kind::kString: return WriteString(entries, node);
      case Kind::kNumber:
        if (!WriteNumber(node)) return WriteString(entries, node);
        return Finish(entries, JENTRY_ISNUMERIC, start);
      case Kind::kArray:
      case Kind::kObject: WriteContainer(node, RootMembers::kAsIs); return Finish(entries, JENTRY_ISCONTAINER, start);
    }
  }

  void WriteString(Entries& entries, const Node& node) noexcept {
    char* const start = end_;
    const std::string_view text = document_.TextOf(node);
    WriteBytes(text.data(), text.size());
    Finish(entries, JENTRY_ISSTRING, start);
  }

  bool WriteNumber(const Node& node) {
    Decimal decimal;
    if (!ParseDecimal(document_.TextOf(node), decimal) || !decimal.IsExact()) return false;
    Align();
    const Numeric numeric = MakeNumeric(decimal);
    WriteBytes(numeric, VARSIZE(numeric));
    pfree(numeric);
    return true;
  }

  void WriteContainer(const Node& node, RootMembers members) {
    CHECK_FOR_INTERRUPTS();
    if (node.kind == Kind::kObject)
      WriteObject(node, members);
    else
      WriteArray(node);
  }

  void WriteArray(const Node& array) {
    Entries entries = Begin(array.size | JB_FARRAY, array.size);
    const Node* const end = document_.nodes + array.at;
    for (const Node* element = &array + 1; element < end; element = document_.After(element)) WriteValue(entries, *element);
  }

  std::string_view NameOf(const Member& member) const noexcept { return document_.TextOf(document_.nodes[member.name]); }

  // Returns the index of the name of the next member.
  std::uint32_t NameAfter(std::uint32_t name) const noexcept {
    return static_cast<std::uint32_t>(document_.After(document_.nodes + name + 1) - document_.nodes);
  }

  bool SameName(const Member& a, const Member& b) const noexcept { return CompareNames(a, b) == 0; }

  int CompareNames(const Member& a, const Member& b) const noexcept {
    if (a.rank != b.rank) return a.rank < b.rank ? -1 : 1;
    if (a.rest != b.rest) return a.rest < b.rest ? -1 : 1;
    return document_.nodes[a.name].size <= kRankedLength ? 0 : NameOf(a).compare(NameOf(b));
  }

  // Sorts the object's members in jsonb's order. Members of the same name stay in the order they were sent.
  Member* SortMembers(const Node& object, RootMembers members) {
    Member* const first = free_member_;
    Member* last = first;
    const Node* const end = document_.nodes + object.at;
    for (const Node* name = &object + 1; name < end; name = document_.After(name + 1)) {
      const std::string_view text = document_.TextOf(*name);
      if (members != RootMembers::kAsIs && text == "token") continue;
      const Member member = MemberFrom(text, static_cast<std::uint32_t>(name - document_.nodes));
      if (members == RootMembers::kFormWithoutToken && last > first && SameName(last[-1], member) &&
          NameAfter(last[-1].last) == member.name)
        last[-1].last = member.name;
      else
        *last++ = member;
    }
    std::sort(first, last, [this](const Member& a, const Member& b) {
      const int order = CompareNames(a, b);
      return order != 0 ? order < 0 : a.name < b.name;
    });
    return last;
  }

  void WriteObject(const Node& object, RootMembers members) {
    Member* const first = free_member_;
    Member* const last = SortMembers(object, members);
    free_member_ = last;
    std::uint32_t names = 0;
    for (const Member* member = first; member < last; ++member) names += member == first || !SameName(member[-1], *member);

    Entries entries = Begin(names | JB_FOBJECT, 2 * names);
    for (const Member* member = first; member < last; ++member)
      if (member == first || !SameName(member[-1], *member)) WriteString(entries, document_.nodes[member->name]);
    for (const Member* member = first; member < last;) {
      const Member* const same = member;
      for (++member; member < last && SameName(*same, *member);) ++member;
      if (members == RootMembers::kFormWithoutToken && same->name != member[-1].last)
        WriteRepeated(entries, same, member);
      else
        WriteValue(entries, document_.nodes[member[-1].last + 1]);
    }
    free_member_ = first;
  }

  template <typename Work>
  void ForEachValue(const Member* member, const Member* last, const Work& work) {
    for (; member < last; ++member)
      for (std::uint32_t name = member->name; name <= member->last; name = NameAfter(name)) work(document_.nodes[name + 1]);
  }

  void WriteRepeated(Entries& entries, const Member* member, const Member* last) {
    char* const start = end_;
    std::uint32_t count = 0;
    ForEachValue(member, last, [&](const Node&) { ++count; });
    Entries elements = Begin(count | JB_FARRAY, count);
    ForEachValue(member, last, [&](const Node& value) { WriteValue(elements, value); });
    Finish(entries, JENTRY_ISCONTAINER, start);
  }

  const Document& document_;
  char* buffer_;
  char* end_;
  Member* members_;  // for all objects that are open at a time; each takes its part at free_member_
  Member* free_member_;
};
static_assert(std::is_trivially_destructible_v<JsonbWriter>);

}  // namespace

Jsonb* MakeJsonb(const Document& document, const Node& node, RootMembers members) {
  return JsonbWriter(document, node).Write(node, members);
}

}  // namespace cc::pg
