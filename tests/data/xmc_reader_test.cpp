// XMC text: what is accepted and as what it is read, and a message with file, line, value and
// remedy for each departure.
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <zlib.h>
#include <slidekit/data/dataset.hpp>
#include <slidekit/system/random.hpp>

#include "files.hpp"
#include "temporary_folder.hpp"

namespace slidekit::data::xmc_reader_test {
namespace {

using slidekit::testing::file_bytes;
using slidekit::testing::message_of;
using slidekit::testing::TemporaryFolder;
using slidekit::testing::write_file;

using Ids = std::vector<std::uint32_t>;
using Offsets = std::vector<std::uint64_t>;
using Values = std::vector<float>;

template <class T>
std::vector<T> copy(std::span<const T> values) {
    return {values.begin(), values.end()};
}

Dataset load(const std::filesystem::path& file) { return load_dataset(file, CachePolicy::ignore); }

void write_gzip(const std::filesystem::path& file, std::string_view text) {
    const gzFile out = ::gzopen(file.c_str(), "wb1");
    ASSERT_NE(out, nullptr);
    EXPECT_EQ(::gzwrite(out, text.data(), static_cast<unsigned>(text.size())),
              static_cast<int>(text.size()));
    EXPECT_EQ(::gzclose(out), Z_OK);
}

class XmcReader : public ::testing::Test {
protected:
    Dataset load_text(std::string_view text) {
        write_file(name_, text);
        return load(name_);
    }
    std::string refusal(const std::filesystem::path& name) {
        return message_of(ErrorCode::input, [&] { (void)load(name); });
    }
    void expect_refused(std::string_view text,
                        const std::string& beginning,
                        const std::string& value = "") {
        write_file(name_, text);
        const std::string message = refusal(name_);
        const std::string expected = name_.string() + ":" + beginning;
        EXPECT_EQ(message.substr(0, expected.size()), expected) << "text: " << text;
        EXPECT_NE(message.find(value), std::string::npos) << message << "\nlacks " << value;
    }

    TemporaryFolder folder_;
    std::filesystem::path name_ = folder_ / "train.txt";
};

void expect_ascending_below(std::span<const std::uint32_t> ids, std::uint32_t bound) {
    for (const std::uint32_t id : ids) EXPECT_LT(id, bound);
    for (std::size_t i = 1; i < ids.size(); ++i) EXPECT_LT(ids[i - 1], ids[i]);
}

void expect_promises_kept(const PointsView& view) {
    ASSERT_EQ(view.feature_offsets.size(), view.points + std::size_t{1});
    ASSERT_EQ(view.label_offsets.size(), view.points + std::size_t{1});
    EXPECT_EQ(view.feature_offsets.back(), view.feature_ids.size());
    EXPECT_EQ(view.label_offsets.back(), view.label_ids.size());
    for (std::size_t i = 0; i < view.points; ++i) {
        expect_ascending_below(view.feature_ids.subspan(view.feature_offsets[i], view.nnz_of(i)),
                               view.features);
        expect_ascending_below(view.labels_of(i), view.labels);
    }
    for (const float value : view.feature_values) EXPECT_TRUE(std::isfinite(value));
    EXPECT_TRUE(view.label_values.empty() || view.label_values.size() == view.label_ids.size());
    for (const float value : view.label_values) EXPECT_TRUE(std::isfinite(value));
}

struct Departure {
    std::string_view text;
    std::string message;  // behind "FILE:"
    std::string value;    // that the message has to quote
};

TEST_F(XmcReader, ReadsLabelsAndFeatures) {
    const Dataset set = load_text("3 10 5\n1,4 0:0.5 9:-2\n0 3:1e-3\n2 1:3 2:7 4:.25\n");
    const PointsView& view = set.view();
    EXPECT_EQ(view.points, 3U);
    EXPECT_EQ(view.features, 10U);
    EXPECT_EQ(view.labels, 5U);
    EXPECT_EQ(copy(view.feature_offsets), (Offsets{0, 2, 3, 6}));
    EXPECT_EQ(copy(view.feature_ids), (Ids{0, 9, 3, 1, 2, 4}));
    EXPECT_EQ(copy(view.feature_values), (Values{0.5F, -2.0F, 1e-3F, 3.0F, 7.0F, 0.25F}));
    EXPECT_EQ(copy(view.label_offsets), (Offsets{0, 2, 3, 4}));
    EXPECT_EQ(copy(view.label_ids), (Ids{1, 4, 0, 2}));
    EXPECT_EQ(set.report().source, name_.string());
    EXPECT_FALSE(set.report().from_cache);
}

TEST_F(XmcReader, TakesEveryUsualFormOfLines) {
    for (const std::string_view text : {
             "2 4 3\n0,2 1:1 3:2\n1 0:3\n",                // as the format says
             "2 4 3\n0,2 1:1 3:2\n1 0:3",                  // no end of the last line
             "2 4 3\r\n0,2 1:1 3:2\r\n1 0:3\r\n",          // ends of Windows
             "2 4 3\r\n0,2 1:1 3:2\r\n1 0:3",              // and one lacks
             "2 4 3\n0,2 1:1 3:2\n1 0:3\n\n  \n\r\n\t\n",  // blank lines behind
             "  2  4  3 \n0,2   1:1\t3:2 \n1 0:3 \t\n",    // more blanks than needed
             "2 4 3\n0,2\t1:1\t3:2\n1\t0:3\n",             // tabs for blanks
             "2 4 3\n2,0 3:2 1:1\n1 0:3\n",                // in no order
             "2 4 3\n2,0,2,2,0 3:2 1:1\n1,1 0:3\n",        // labels repeated
             "2 4 3\n00,02 01:1.0 3:2e0\n1 0:300E-2\n",    // other spellings
         }) {
        const Dataset set = load_text(text);
        const PointsView& view = set.view();
        EXPECT_EQ(copy(view.feature_offsets), (Offsets{0, 2, 3})) << text;
        EXPECT_EQ(copy(view.feature_ids), (Ids{1, 3, 0})) << text;
        EXPECT_EQ(copy(view.feature_values), (Values{1.0F, 2.0F, 3.0F})) << text;
        EXPECT_EQ(copy(view.label_offsets), (Offsets{0, 2, 3})) << text;
        EXPECT_EQ(copy(view.label_ids), (Ids{0, 2, 1})) << text;
    }
}

TEST_F(XmcReader, ReadsValuesOfLabels) {
    const Dataset set = load_text("5 10 5\n4 1:1\n3:1.5,1:-0.25 2:7\n 3:1\n0,2:1e-3 1:2\n1:0\n");
    EXPECT_EQ(copy(set.view().label_offsets), (Offsets{0, 1, 3, 3, 5, 6}));
    EXPECT_EQ(copy(set.view().label_ids), (Ids{4, 1, 3, 0, 2, 1}));
    EXPECT_EQ(copy(set.view().label_values), (Values{1, -0.25F, 1.5F, 1, 1e-3F, 0}));
    EXPECT_EQ(copy(set.view().feature_ids), (Ids{1, 2, 3, 1}));
}

TEST_F(XmcReader, MergesRepeatsOfALabelWithOneValue) {
    const Dataset set = load_text("1 10 5\n3:2,1,3:2.0,1:1 2:7\n");
    EXPECT_EQ(copy(set.view().label_ids), (Ids{1, 3}));
    EXPECT_EQ(copy(set.view().label_values), (Values{1, 2}));
}

TEST_F(XmcReader, HasNoLabelValuesWhereTheTextHasNone) {
    EXPECT_TRUE(load_text("2 10 5\n1,4 0:0.5\n0 3:1\n").view().label_values.empty());
}

TEST_F(XmcReader, CountsPointsWithoutLabelsOrFeatures) {
    const Dataset set = load_text("5 4 3\n\t1:1\n2\n\n1 0:1\n \n");
    EXPECT_EQ(copy(set.view().feature_offsets), (Offsets{0, 1, 1, 1, 2, 2}));
    EXPECT_EQ(copy(set.view().label_offsets), (Offsets{0, 0, 1, 1, 2, 2}));
    EXPECT_EQ(set.report().points_without_labels, 3U);
    EXPECT_EQ(set.report().points_without_features, 3U);
}

TEST_F(XmcReader, RoundsValuesTooSmallForAFloatToZero) {
    const Dataset set = load_text("1 9 1\n0 0:1e-99 1:-1e-99 2:1e-999 3:1e-44 4:0 5:-0 6:3.4e38\n");
    const std::span<const float> values = set.view().feature_values;
    ASSERT_EQ(values.size(), 7U);
    for (const std::size_t i : {0U, 1U, 2U, 4U, 5U}) EXPECT_EQ(values[i], 0.0F) << i;
    EXPECT_EQ(values[3], 1e-44F);  // subnormal
    EXPECT_EQ(values[6], 3.4e38F);
}

TEST_F(XmcReader, TakesTheLargestIdsOfTheLargestWidths) {
    const Dataset set = load_text("1 2147483647 2147483647\n2147483646 2147483646:1\n");
    EXPECT_EQ(copy(set.view().feature_ids), (Ids{2147483646U}));
    EXPECT_EQ(copy(set.view().label_ids), (Ids{2147483646U}));
}

TEST_F(XmcReader, ReadsLinesAcrossBlocks) {
    std::string text = "3 400000 2\n";
    for (int line = 0; line < 3; ++line) {  // each of about 3.5 MB: more than two blocks
        text += "1";
        for (int id = 0; id < 400000; ++id) text += ' ' + std::to_string(id) + ":1";
        text += line == 2 ? "" : "\n";
    }
    const Dataset set = load_text(text);
    EXPECT_EQ(copy(set.view().feature_offsets), (Offsets{0, 400000, 800000, 1200000}));
    for (std::uint32_t i = 0; i < 1200000; ++i)
        ASSERT_EQ(set.view().feature_ids[i], i % 400000) << i;
}

TEST_F(XmcReader, NamesWhatIsWrongWithTheHeader) {
    const std::string form = "1: the header is `points features labels`";
    for (const Departure& departure : std::initializer_list<Departure>{
             {"\n1 0:1\n", form, "found \"\""},
             {"1\n0 0:1\n", form, "in \"1\""},
             {"1 2\n0 0:1\n", form, "in \"1 2\""},
             {"1 2 3 4\n0 0:1\n", form, "found \"4\" behind it"},
             {"1 2 3x\n0 0:1\n", form, "found \"3x\""},
             {"1,2,3\n0 0:1\n", form, "found \"1\""},
             {"1\t2\t3\n0 0:1\n", form, R"("1\t2\t3")"},
             {"-1 2 3\n0 0:1\n", form, "found \"-1\""},
             {"1.5 2 3\n0 0:1\n", form, "found \"1.5\""},
             {"0 2 3\n", form, "found \"0\""},
             {"1 0 3\n0 0:1\n", form, "found \"0\""},
             {"1 2 0\n0 0:1\n", form, "found \"0\""},
             {"1 2147483648 3\n0 0:1\n", form, "from 1 to 2147483647"},
             {"1 2 99999999999999999999\n0 0:1\n", form, "found \"99999999999999999999\""},
             {"0 0:1\n", form, "found \"0\""},
             {"1,2 0:1 3:4\n", form, "found \"1\""},
             {std::string_view("\0\0\0\n", 4), form, R"(found "\x00\x00\x00")"},
             {"\xef\xbb\xbf"
              "1 2 3\n0 0:1\n",
              form,
              R"(found "\xef\xbb\xbf1")"},
             {"1000000 2 3\n0 0:1\n",
              "1: the header says 1000000 points, but the file has 18 bytes",
              "cut off"},
         }) {
        expect_refused(departure.text, departure.message, departure.value);
    }
}

TEST_F(XmcReader, NamesMoreOrFewerPointsThanTheHeaderSays) {
    expect_refused("", " is empty; the first line has to be `points features labels`");
    expect_refused("2 4 3\n0 1:1\n", " ends after 1 points, but its header says 2");
    expect_refused("2 4 3\n", " ends after 0 points, but its header says 2");
    expect_refused("2 4 3", " ends after 0 points, but its header says 2");
    expect_refused("1 4 3\n0 1:1\n1 2:1\n", "3: a point beyond the 1 that the header says");
    expect_refused("1 4 3\n0 1:1\n\n\n1 2:1", "5: a point beyond the 1 that the header says");
}

TEST_F(XmcReader, NamesTheLabelThatIsWrong) {
    for (const Departure& departure : std::initializer_list<Departure>{
             {"5 0:1", "label 5 out of range, the header says 5 labels (0..4)", ""},
             {"0,1,17 0:1", "label 17 out of range, the header says 5 labels (0..4)", ""},
             {"4294967295 0:1", "label 4294967295 out of range", "(0..4)"},
             {"4294967296 0:1", "label \"4294967296\" does not fit 32 bits", "from 0 to 4"},
             {"99999999999999999999999 0:1",
              "label \"99999999999999999999999\" does not fit 32 bits",
              ""},
             {"-1 0:1", "label expected, found \"-1\"", "whole numbers from 0 to 4"},
             {"0,-1 0:1", "label expected, found \"-1\"", ""},
             {"+1 0:1", "label expected, found \"+1\"", ""},
             {"x 0:1", "label expected, found \"x\"", ""},
             {"0, 0:1", "label expected, found \"\"", ""},
             {",0 0:1", "label expected, found \"\"", ""},
             {"0,,1 0:1", "label expected, found \"\"", ""},
             {"1.5 0:1", "label \"1.5\" is no whole number", ""},
             {"0,1x 0:1", "label \"1x\" is no whole number", ""},
             {"1:2,2:3,1:2.5 0:1", "label 1 occurs with the values 2 and 2.5", "give it once"},
             {"1,1:2 0:1", "label 1 occurs with the values 1 and 2", "give it once"},
             {"1:nan 0:1", "label value \"nan\" is no finite number of 32 bits", "like 0.25"},
             {"0:1,1: 0:1", "label value \"\" is no finite number", ""},
             {"0:1:2 0:1", "label value \"1:2\" is no finite number", ""},
             {"0:-1e99,1 0:1", "label value \"-1e99\" is no finite number", ""},
             {"0:1,7:2 0:1", "label 7 out of range", "(0..4)"},
             {"nan 0:1", "label expected, found \"nan\"", ""},
             {"5:1 1:1",
              "label 5 out of range, the header says 5 labels (0..4)",
              "(0..4); a point without labels begins with a blank"},
             {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
              "label expected, found \"xxxx",
              "x...\""},
         }) {
        expect_refused("2 10 5\n0 1:1\n" + std::string(departure.text) + "\n",
                       "3: " + departure.message,
                       departure.value);
    }
}

TEST_F(XmcReader, NamesTheFeatureThatIsWrong) {
    for (const Departure& departure : std::initializer_list<Departure>{
             {"10:1", "feature 10 out of range, the header says 10 features (0..9)", ""},
             {"4294967296:1", "feature \"4294967296:1\" does not fit 32 bits", "from 0 to 9"},
             {"18446744073709551616:1",
              "feature \"18446744073709551616:1\" does not fit 32 bits",
              ""},
             {"-1:1", "feature expected, found \"-1:1\"", "whole numbers from 0 to 9"},
             {"x:1", "feature expected, found \"x:1\"", ""},
             {":1", "feature expected, found \":1\"", ""},
             {"1:1 7", "\"7\" is no feature; write feature:value", ""},
             {"1=1", "\"1=1\" is no feature; write feature:value", ""},
             {"1.5:1", "\"1.5:1\" is no feature; write feature:value", ""},
             {"1 :1", "\"1\" is no feature; write feature:value", ""},
             {"3:1 3:1", "feature 3 occurs twice in this point", "give it once"},
             {"3:1 5:1 2:1 3:4", "feature 3 occurs twice in this point", ""},
         }) {
        expect_refused("2 10 5\n0 1:1\n1 " + std::string(departure.text) + "\n",
                       "3: " + departure.message,
                       departure.value);
    }
}

TEST_F(XmcReader, NamesTheValueThatIsWrong) {
    for (const std::string_view value : {"nan",
                                         "NaN",
                                         "-nan",
                                         "inf",
                                         "-inf",
                                         "infinity",
                                         "1e99",
                                         "-1e99",
                                         "1e999",
                                         "3.5e38",
                                         "1x",
                                         "x",
                                         "1:2",
                                         "+1",
                                         "0x10",
                                         "1.2.3",
                                         "1e",
                                         "--1",
                                         "."}) {
        expect_refused(
            "2 10 5\n0 1:1\n1 2:" + std::string(value) + " 3:1\n",
            "3: feature value \"",
            std::string(value) + "\" is no finite number of 32 bits; write it like 0.25 or 1e-3");
    }
    expect_refused("1 10 5\n1 2:", "2: feature value \"\" is no finite number");
    expect_refused("1 10 5\n1 2: 3:1\n", "2: feature value \"\" is no finite number");
    expect_refused("1 10 5\n1 2:1,3:1\n", "2: feature value ");
}

TEST_F(XmcReader, NamesTheFileThatIsNone) {
    const std::filesystem::path missing = folder_ / "absent.txt";
    EXPECT_EQ(
        refusal(missing),
        missing.string() +
            ": cannot be read (No such file or directory); check the name and its permissions");
    EXPECT_EQ(refusal(folder_.path()),
              folder_.path().string() +
                  ": cannot be read (it is a folder); check the name and its permissions");
}

TEST_F(XmcReader, RefusesPipesAndDevicesRatherThanWait) {
    const std::filesystem::path pipe = folder_ / "pipe";
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    for (const std::filesystem::path& name : {pipe, std::filesystem::path("/dev/null")}) {
        EXPECT_EQ(refusal(name),
                  name.string() +
                      ": cannot be read (it is a pipe or a device); put its contents into a file");
    }
}

TEST_F(XmcReader, SpellsOutWhatIsNotPrintable) {
    using std::string_view_literals::operator""sv;
    const std::string form = "2: feature value ";
    expect_refused("1 4 3\n0 1:1\0x\n"sv, form + R"("1\x00x" is no finite number)", "1e-3");
    expect_refused("1 4 3\n0 1:\x1b[31m\r\r x\n", form + R"("\x1b[31m\x0d\x0d" is no)", "1e-3");
}

TEST_F(XmcReader, ReadsGzip) {
    write_gzip(name_, "2 4 3\n0,2 1:1 3:2\n1 0:3\n");
    const Dataset set = load(name_);
    EXPECT_EQ(copy(set.view().feature_ids), (Ids{1, 3, 0}));
    EXPECT_EQ(copy(set.view().label_ids), (Ids{0, 2, 1}));
    write_gzip(name_, "2 4 3\n0 1:1\n1 4:3\n");
    EXPECT_EQ(refusal(name_).rfind(name_.string() + ":3: feature 4 out of range", 0), 0U);
}

TEST_F(XmcReader, TakesHighlyCompressedPoints) {
    write_gzip(name_, "1000000 4 3\n" + std::string(1000000, '\n'));
    EXPECT_LT(std::filesystem::file_size(name_), 10000U);
    EXPECT_EQ(load(name_).view().points, 1000000U);
}

TEST_F(XmcReader, RefusesGzipCutOffAnywhere) {
    write_gzip(name_, "3 4 3\n0,2 1:1 3:2\n1 0:3\n2 0:0.123456\n");
    const std::string whole = file_bytes(name_);
    for (std::size_t length = 1; length < whole.size(); ++length) {
        write_file(name_, std::string_view(whole).substr(0, length));
        const std::string message = refusal(name_);
        EXPECT_EQ(message.rfind(name_.string() + ":", 0), 0U) << length << " bytes: " << message;
    }
    write_file(name_, std::string_view(whole).substr(0, whole.size() - 9));
    EXPECT_NE(refusal(name_).find("the file is damaged or cut off: fetch it again"),
              std::string::npos);
}

TEST_F(XmcReader, RefusesGzipWithAFlippedByte) {
    write_gzip(name_, "3 4 3\n0,2 1:1 3:2\n1 0:3\n2 0:0.123456\n");
    const std::string whole = file_bytes(name_);
    for (std::size_t at = 10; at < whole.size();
         ++at) {  // behind the header, whose time and system mean nothing
        std::string flipped = whole;
        flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
        write_file(name_, flipped);
        EXPECT_EQ(refusal(name_).rfind(name_.string() + ":", 0), 0U) << "byte " << at;
    }
}

// Whatever the bytes are, a data set that keeps its promises or an error comes of them.
TEST_F(XmcReader, LoadsOrRefusesAnyDamagedText) {
    const std::string whole = "4 9 5\n1,4:-2 0:0.5 8:-2e-1\n 3:1e3\r\n2\n\n0,3\t7:.25 2:7\n";
    constexpr std::string_view kBytes = "0123456789 ,:.-+eE\n\r\t\0\xff";
    system::Stream stream(17, system::Purpose::test);
    const auto below = [&](std::size_t bound) {
        return stream.below(static_cast<std::uint32_t>(bound));
    };
    std::size_t refused = 0;
    for (int round = 0; round < 3000; ++round) {
        std::string text = whole;
        for (std::uint32_t change = below(3) + 1; change > 0; --change)
            text[below(text.size())] = kBytes[below(kBytes.size())];
        if (below(4) == 0) text.resize(below(text.size()));
        write_file(name_, text);
        try {
            expect_promises_kept(load(name_).view());
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::input) << error.what();
            EXPECT_EQ(error.where().rfind(name_.string(), 0), 0U) << error.what();
            ++refused;
        }
        ASSERT_FALSE(HasFailure()) << "round " << round << ": " << text;
    }
    EXPECT_GT(refused, 1000U);
    EXPECT_LT(refused, 3000U);
}

TEST_F(XmcReader, RefusesALineBeyondAllMeasure) {
    write_gzip(name_, "1 4 3\n0 " + std::string(std::size_t{66} << 20, ' ') + "1:1\n");
    EXPECT_EQ(refusal(name_).rfind(name_.string() + ":2: a line of more than 64 MiB", 0), 0U);
}

TEST_F(XmcReader, TakesALongLineBelowIt) {
    write_gzip(name_, "1 4 3\n0 " + std::string(std::size_t{60} << 20, ' ') + "1:1\n");
    EXPECT_EQ(load(name_).view().feature_ids.size(), 1U);
}

}  // namespace
}  // namespace slidekit::data::xmc_reader_test
