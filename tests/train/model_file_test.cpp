// Model files: a round trip loses nothing, and what is no model is refused by name.
#include <slidekit/train/model_file.hpp>

#include <array>
#include <cmath>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include <sys/resource.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <slidekit/data/tensor_file.hpp>
#include <slidekit/system/error.hpp>

#include "temporary_folder.hpp"
#include "toy_networks.hpp"
#include "toy_points.hpp"

namespace slidekit::train::model_file_test {
namespace {

using ::testing::HasSubstr;
using testing::TemporaryFolder;

constexpr std::uint32_t kFeatures = 40;
constexpr std::uint32_t kHidden = 19;
constexpr std::uint32_t kLabels = 70;

nn::Network trained_network(system::Runtime& runtime, std::uint32_t hidden = kHidden) {
    nn::Network network(runtime,
                        {.features = kFeatures,
                         .hidden = hidden,
                         .labels = kLabels,
                         .output = testing::some_neurons(10, 5, 5)});
    testing::set_biases(network);
    network.rebuild_tables();
    const testing::ToyPoints points = testing::random_points(50, kFeatures, kLabels, 5, 1);
    network.train_step(points.view(), testing::adam(0.01F), 0);
    return network;
}

std::string contents(const std::filesystem::path& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
}

void write(const std::filesystem::path& file, const std::string& bytes) {
    std::ofstream(file, std::ios::binary) << bytes;
}

void expect_refused(const std::filesystem::path& file, const std::string& why = "") {
    system::Runtime runtime({.threads = 1});
    try {
        (void)load_model(runtime, file);
        ADD_FAILURE() << "was taken: " << file;
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::input);
        EXPECT_THAT(error.what(), HasSubstr(file.string()));
        EXPECT_THAT(error.what(), HasSubstr(why));
    }
}

TEST(ModelFile, RoundTripKeepsEveryBit) {
    const TemporaryFolder folder;
    system::Runtime runtime({.threads = 2});
    const nn::Network network = trained_network(runtime);
    save_model(network, folder / "model");
    const nn::Network loaded = load_model(runtime, folder / "model");
    EXPECT_TRUE(testing::bits_of(loaded) == testing::bits_of(network));
    const testing::ToyPoints points = testing::random_points(300, kFeatures, kLabels, 5, 2);
    const auto expected = network.predict(points.view(), 5);
    const auto got = loaded.predict(points.view(), 5);
    ASSERT_EQ(got.size(), expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
        EXPECT_EQ(got[i].label, expected[i].label);
        EXPECT_EQ(got[i].score, expected[i].score);
    }
}

TEST(ModelFile, SaysItsShape) {
    const TemporaryFolder folder;
    system::Runtime runtime({.threads = 1});
    save_model(trained_network(runtime), folder / "model");
    const ModelShape shape = read_model_shape(folder / "model");
    EXPECT_EQ(shape.features, kFeatures);
    EXPECT_EQ(shape.hidden.last_width(), kHidden);
    EXPECT_EQ(shape.labels, kLabels);
}

TEST(ModelFile, HoldsTheDocumentedTensors) {
    const TemporaryFolder folder;
    system::Runtime runtime({.threads = 1});
    save_model(trained_network(runtime), folder / "model");
    const data::TensorFile tensors(folder / "model");
    std::map<std::string, std::vector<std::uint64_t>> shapes;
    for (const data::TensorInfo& tensor : tensors.tensors()) shapes[tensor.name] = tensor.shape;
    const std::map<std::string, std::vector<std::uint64_t>> expected = {
        {"input.weight", {kFeatures, kHidden}},
        {"input.bias", {kHidden}},
        {"output.weight", {kLabels, kHidden}},
        {"output.bias", {kLabels}},
        {"retrieval.rows", {kLabels}},
        {"retrieval.centre", {kHidden}}};
    EXPECT_EQ(shapes, expected);
}

TEST(ModelFile, ReplacesAnOlderModel) {
    const TemporaryFolder folder;
    system::Runtime runtime({.threads = 1});
    save_model(trained_network(runtime, 33), folder / "model");
    save_model(trained_network(runtime), folder / "model");
    EXPECT_EQ(read_model_shape(folder / "model").hidden.last_width(), kHidden);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(ModelFile, MissingAndForeignFilesAreRefusedByName) {
    const TemporaryFolder folder;
    expect_refused(folder / "missing");
    expect_refused(folder.path());
    for (const std::string& bytes : {std::string(),
                                     std::string("5"),
                                     std::string("12 features 7 labels\n1 2:3\n"),
                                     std::string(4096, '\0'),
                                     std::string(4096, '\xff'),
                                     std::string("\x02\0\0\0\0\0\0\0{}", 10)}) {
        write(folder / "foreign", bytes);
        expect_refused(folder / "foreign");
    }
}

TEST(ModelFile, TornFilesAreRefusedByName) {
    const TemporaryFolder folder;
    system::Runtime runtime({.threads = 1});
    save_model(trained_network(runtime), folder / "model");
    const std::string whole = contents(folder / "model");
    for (const std::size_t kept :
         {std::size_t{7}, std::size_t{8}, std::size_t{60}, whole.size() / 2, whole.size() - 1}) {
        write(folder / "torn", whole.substr(0, kept));
        expect_refused(folder / "torn");
    }
    write(folder / "torn", whole + "x");
    expect_refused(folder / "torn");
}

// A tensor file of one tensor, with this configuration.
void write_with_config(const std::filesystem::path& file,
                       const std::map<std::string, std::string>& metadata) {
    const std::array<float, 6> values{};
    const std::array<data::TensorSource, 1> tensors = {
        {{"input.weight", {2, 3}, values.data(), 3}}};
    data::write_tensors(file, tensors, metadata);
}

TEST(ModelFile, TensorFilesWithoutAUsableConfigurationAreRefusedByName) {
    const TemporaryFolder folder;
    write_with_config(folder / "other", {});
    expect_refused(folder / "other", "metadata");
    for (const char* config : {"",
                               "{",
                               "[]",
                               "3",
                               "{}",
                               R"({"features":2,"hidden":3})",
                               R"({"features":2,"hidden":3,"labels":0})",
                               R"({"features":2,"hidden":3,"labels":-4})",
                               R"({"features":2,"hidden":3,"labels":"4"})",
                               R"({"features":2,"hidden":3,"labels":4.5})",
                               R"({"features":2,"hidden":3,"labels":99999999999})"}) {
        write_with_config(folder / "other", {{"slidekit.network", config}});
        expect_refused(folder / "other", "configuration");
    }
}

TEST(ModelFile, TensorsOfOtherShapesAreRefusedByName) {
    const TemporaryFolder folder;
    write_with_config(folder / "other",
                      {{"slidekit.network", R"({"features":2,"hidden":4,"labels":5})"}});
    expect_refused(folder / "other", "input.weight");
    write_with_config(folder / "other",
                      {{"slidekit.network", R"({"features":2,"hidden":3,"labels":5})"}});
    expect_refused(folder / "other", "input.bias");
    write_with_config(folder / "other",
                      {{"slidekit.network",
                        R"({"features":2000000000,"hidden":2000000000,"labels":2000000000})"}});
    expect_refused(folder / "other", "input.weight");
}

TEST(ModelFile, TablesBuiltFromItFindWhatTheNetworksOwnFind) {
    const TemporaryFolder folder;
    system::Runtime runtime({.threads = 2});
    nn::Network network = trained_network(runtime);
    save_model(network, folder / "model");
    nn::Network loaded = load_model(runtime, folder / "model");
    network.index(network.retrieval_setup());
    loaded.index(read_retrieval(folder / "model"));
    const testing::ToyPoints points = testing::random_points(100, kFeatures, kLabels, 5, 2);
    const nn::Retrieved expected = network.retrieve(points.view(), 5);
    const nn::Retrieved got = loaded.retrieve(points.view(), 5);
    EXPECT_EQ(got.candidates, expected.candidates);
    for (std::size_t i = 0; i < expected.best.size(); ++i)
        EXPECT_EQ(got.best[i].label, expected.best[i].label);
}

TEST(ModelFile, KeepsTheProbes) {
    const TemporaryFolder folder;
    system::Runtime runtime({.threads = 1});
    nn::Network network = trained_network(runtime);
    nn::RetrievalSetup setup = network.retrieval_setup();
    setup.output.hash.probes = 2;
    network.index(setup);
    save_model(network, folder / "model");
    EXPECT_EQ(read_retrieval(folder / "model").output.hash.probes, 2U);
}

void expect_no_retrieval(const std::filesystem::path& file, const std::string& why) {
    try {
        (void)read_retrieval(file);
        ADD_FAILURE() << "was taken: " << why;
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::input);
        EXPECT_THAT(error.what(), HasSubstr(file.string()));
        EXPECT_THAT(error.what(), HasSubstr(why));
    }
}

TEST(ModelFile, WithoutTablesNamesTheRemedy) {
    const TemporaryFolder folder;
    system::Runtime runtime({.threads = 1});
    const nn::Network full(runtime,
                           {.features = 4, .hidden = 3, .labels = 5, .output = nn::FullOutput{}});
    save_model(full, folder / "model");
    expect_no_retrieval(folder / "model", "--retrieval exact");
    expect_no_retrieval(folder / "missing", "missing");
}

// A network of 5 labels and 2 hidden units as far as its tables go.
void write_retrieval(const std::filesystem::path& file,
                     const std::string& settings,
                     const std::vector<std::uint32_t>& rows,
                     const std::vector<float>& centre) {
    const std::array<data::TensorSource, 2> tensors = {
        {{"retrieval.rows", {rows.size()}, rows.data(), 0, "U32"},
         {"retrieval.centre", {centre.size()}, centre.data()}}};
    data::write_tensors(file,
                        tensors,
                        {{"slidekit.network", R"({"features":2,"hidden":2,"labels":5})"},
                         {"slidekit.retrieval", settings}});
}

const std::string kSettings =
    R"({"hash":"simhash","k":4,"l":9,"packing":"concat","seed":7,"centre":"on","bucket-cap":0,)"
    R"("bits":12,"width":1.5})";

TEST(ModelFile, RowsAndCentreOfTablesAreChecked) {
    const TemporaryFolder folder;
    const auto file = folder / "model";
    write_retrieval(file, kSettings, {0, 4}, {0, 1});
    EXPECT_EQ(read_retrieval(file).met, (std::vector<std::uint32_t>{0, 4}));
    EXPECT_EQ(read_retrieval(file).output.hash.l, 9U);
    const float nan = std::nanf("");
    for (const std::vector<std::uint32_t>& rows :
         {std::vector<std::uint32_t>{}, {5}, {0, 0}, {3, 2}, {0, 0xffffffffU}}) {
        write_retrieval(file, kSettings, rows, {0, 1});
        expect_no_retrieval(file, "retrieval.rows");
    }
    for (const std::vector<float>& centre :
         {std::vector<float>{}, {1}, {1, 2, 3}, {1, nan}, {INFINITY, 1}}) {
        write_retrieval(file, kSettings, {0, 4}, centre);
        expect_no_retrieval(file, "retrieval.centre");
    }
}

TEST(ModelFile, SettingsOfTablesAreChecked) {
    const TemporaryFolder folder;
    const auto expect = [&](const std::string& from, const std::string& to, const char* why) {
        std::string settings = kSettings;
        settings.replace(settings.find(from), from.size(), to);
        write_retrieval(folder / "model", settings, {0, 4}, {0, 1});
        expect_no_retrieval(folder / "model", why);
    };
    expect("12,", "99,", "\"bits\"");
    expect("1.5", "0.0", "\"width\"");
    expect("simhash", "sha1", "hash");
    expect("concat", "zip", "packing");
    expect("\"on\"", "true", "centre");
    for (const char* bad : {"0", "65", "-1", "4.5", "\"4\"", "99999999999"})
        expect("4", bad, "\"k\"");
    for (const char* bad : {"0", "4097", "null"}) expect("9", bad, "\"l\"");
    expect("simhash\",\"k\":4", "dwta\",\"k\":9", "cannot be built");
    expect("\"bucket-cap\":0", "\"bucket-cap\":4294967296", "bucket-cap");
    expect("simhash\",\"k\":4", "simhash\",\"k\":25", "cannot be built");
    expect("{", "", "hash");
}

TEST(ModelFile, UnwritablePlaceIsAnOutputError) {
    const TemporaryFolder folder;
    system::Runtime runtime({.threads = 1});
    const nn::Network network = trained_network(runtime);
    const std::filesystem::path file = folder / "no-such-folder/model";
    try {
        save_model(network, file);
        FAIL() << "was written";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::output);
        EXPECT_THAT(error.what(), HasSubstr(file.string()));
    }
}

/// Files may not grow past `bytes` while it lives: a disk that fills up.
class FileSizeLimit {
public:
    explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
        ::getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit limit{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    FileSizeLimit(const FileSizeLimit&) = delete;
    FileSizeLimit& operator=(const FileSizeLimit&) = delete;
    ~FileSizeLimit() {
        ::setrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, handler_);
    }

private:
    void (*handler_)(int);
    rlimit before_{};
};

TEST(ModelFile, FailureLeavesTheOldModelAndNothingElse) {
    const TemporaryFolder folder;
    system::Runtime runtime({.threads = 1});
    save_model(trained_network(runtime), folder / "model");
    const std::string before = contents(folder / "model");
    const nn::Network larger = trained_network(runtime, 200);
    for (const rlim_t room : {rlim_t{0}, rlim_t{100}, rlim_t{5000}}) {
        const FileSizeLimit limit(room);
        EXPECT_THROW(save_model(larger, folder / "model"), Error) << room;
    }
    EXPECT_TRUE(contents(folder / "model") == before);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

}  // namespace
}  // namespace slidekit::train::model_file_test
