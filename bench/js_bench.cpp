// SPDX-License-Identifier: MIT
//
// What regions cost in a page, beside what a page has without them, in one web view of WebKitGTK 6.0. All pairs are
// taken in turn, as often as --benchmark_repetitions says (but not more than `most_repetitions`: some peers take
// seconds), and each is written as one run in the form of Google Benchmark, which report.py reads.
//
//   100mib   from the publish of 100 MiB to their being readable in JavaScript | fetch() of 100 MiB from a URI scheme
//   sum      adding up 100 MiB of numbers in a region, warm | in an ordinary ArrayBuffer, by the same function
//   write    region.write() of 10 MiB | base64 in a script message, until the application has the bytes | set() between
//   two
//            ordinary arrays
//   poll     region.version | Atomics.load
//   lease    region.read() and release() | the call of a native function that does nothing (in this process: the same
//            engine, the same kind of function)
//   store    a read() and release() with a store into the read-only view between them | the same without
//   notify   from a native publish, 16 ms after the one before, to a JavaScript handler of `change` | to a handler in
//   the
//            GLib main loop of another program
//   upload   100 MiB from a worker's memory through a stream, until a native program has read all | POSTed by fetch()
//   from
//            the same worker, to a URI scheme or to an HTTP server on this machine, whichever is faster
//   invoke   a command with a small argument, answered by a native program | a script message with reply, answered by
//   the
//            application
//   frames   a frame of 1080p on a canvas, from a native program that publishes the next when it is told | fetched from
//   a URI scheme
//
// performance.now() counts whole milliseconds in WebKit, so what is short is timed in batches.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iostream>
#include <random>
#include <sstream>
#include <thread>
#include <vector>

#include "browser.h"
#include "common/fd_source.h"
#include "daemon.h"
#include "must.h"
#include "process.h"

namespace {

using namespace memio;
using namespace memio::bench;
using memio::test::Browser;
using memio::test::run_until;
using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr std::size_t mib = std::size_t{1} << 20;
constexpr std::size_t frame_size = std::size_t{1920} * 1080 * 4;
constexpr int most_repetitions = 7;
constexpr double per_millisecond = 1e6;

double since(Clock::time_point start) { return std::chrono::duration<double, std::nano>(Clock::now() - start).count(); }

double number_of(const Json& value) {
  if (!value.is_number()) die("the page answered " + value.dump());
  return value;
}

// bulk://host/page is a page, and bulk://host/<n> are n bytes.
void serve(WebKitURISchemeRequest* request, gpointer) {
  // What is POSTed is read; an empty answer says so.
  const bool is_post = g_strcmp0(webkit_uri_scheme_request_get_http_method(request), "POST") == 0;
  const webext::ObjectPtr<GInputStream> posted(is_post ? webkit_uri_scheme_request_get_http_body(request) : nullptr);
  if (posted) {
    static std::vector<char> buffer(mib);
    while (g_input_stream_read(posted.get(), buffer.data(), buffer.size(), nullptr, nullptr) > 0) {
    }
  }
  static const std::vector<char> bulk(100 * mib, 'x');
  const std::string_view path = webkit_uri_scheme_request_get_path(request);
  const std::string_view page = "<!doctype html><title>js_bench</title>";
  const std::size_t size = path == "/page" ? page.size() : std::stoul(std::string(path.substr(1)));
  const webext::ObjectPtr<GInputStream> stream(g_memory_input_stream_new_from_data(
      path == "/page" ? page.data() : bulk.data(), static_cast<gssize>(size), nullptr));
  webkit_uri_scheme_request_finish(request, stream.get(), static_cast<gint64>(size),
                                   path == "/page" ? "text/html" : "application/octet-stream");
}

// A program whose GLib handler answers each publish of b/native with the publish's number.
int answer_natively(const Daemon& daemon, std::atomic<std::uint32_t>& answered) {
  auto client = daemon.connect();
  auto region = must(client.create("b/native", {.capacity = 64}));
  must(region.subscribe({1}, 0));
  const webext::FdSource source(client.get_fd(), [&] {
    std::array<Event, 4> events;
    if (client.dispatch(events) > 0) answered.store(static_cast<std::uint32_t>(region.sequence()));
  });
  g_main_loop_run(g_main_loop_new(nullptr, FALSE));
  return 0;
}

// A program that publishes a frame each time the page asks for one.
int publish_frames(const Daemon& daemon) {
  auto client = daemon.connect();
  auto region = must(client.create("b/frames", {.capacity = frame_size}));
  auto wishes = must(client.create("b/wishes", {.capacity = 64}));
  const std::vector<std::byte> frame(frame_size, std::byte{0x7f});
  for (std::uint64_t seen = 0;;) {
    seen = must(wishes.wait(seen, std::chrono::milliseconds(-1)));
    must(region.write(frame));
  }
}

// A program that reads one stream after the other, all of it, into memory of its own.
int read_streams(const Daemon& daemon) {
  auto client = daemon.connect();
  std::vector<std::byte> mine(mib);
  for (;;) {
    auto reader = must(client.create_stream_reader("b/upload"));
    for (;;) {
      const auto chunk = must(reader.next(std::chrono::milliseconds(-1)));
      if (!chunk) break;
      std::memcpy(mine.data(), chunk->data().data(), chunk->data().size());
    }
  }
}

// A program that answers the command b/echo with its arguments.
int answer_calls(const Daemon& daemon) {
  auto client = daemon.connect();
  auto handler = must(client.handle("b/echo"));
  for (;;) {
    auto call = must(handler.wait(std::chrono::milliseconds(-1)));
    must(call.answer(call.arguments()));
  }
}

// An HTTP server that reads what is POSTed, one connection after the other.
int serve_posts(int listening) {
  std::vector<char> buffer(mib);
  for (;;) {
    const UniqueFd connection(::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC));
    std::string head;
    std::size_t left = 1;
    for (std::size_t end = std::string::npos; left > 0;) {
      const auto count = ::recv(connection.get(), buffer.data(), buffer.size(), 0);
      if (count <= 0) break;
      if (end != std::string::npos) {
        left -= std::min(left, static_cast<std::size_t>(count));
        continue;
      }
      head.append(buffer.data(), static_cast<std::size_t>(count));
      end = head.find("\r\n\r\n");
      if (end == std::string::npos) continue;
      const auto field = head.find("Content-Length: ");
      const std::size_t length = field < end ? std::stoul(head.substr(field + 16)) : 0;
      left = length - std::min(length, head.size() - end - 4);
    }
    constexpr std::string_view answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    static_cast<void>(::send(connection.get(), answer.data(), answer.size(), MSG_NOSIGNAL));
  }
}

// A listening socket on a free port of this machine.
std::pair<UniqueFd, unsigned> listen_locally() {
  UniqueFd listening(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listening.get(), generic, size) != 0 || ::listen(listening.get(), 8) != 0 ||
      ::getsockname(listening.get(), generic, &size) != 0)
    die("no port to listen on");
  return {std::move(listening), ntohs(address.sin_port)};
}

Region open_soon(Client& client, const char* name, Access access) {
  for (;;) {
    auto region = client.open(name, access);
    if (region) return std::move(*region);
    std::this_thread::yield();
  }
}

// The page's half: functions that give the time of one operation in ms, where the page can tell it.
constexpr const char* page_functions = R"js(
  globalThis.b = {};
  const timed = (times, body) => { const t = performance.now(); body(times); return (performance.now() - t) / times; };
  b.bulk = await memio.open('b/bulk');
  b.small = await memio.open('b/small');
  b.writable = await memio.open('b/writable', {access: 'write'});
  b.answered = await memio.open('b/answers', {access: 'write'});
  b.answers = b.answered.read().as(Uint32Array);  // the native side spins on these
  b.bulk.addEventListener('change', () => {
    const s = b.bulk.read();
    b.samples = s.data[0] + s.data[s.length >> 1] + s.data[s.length - 1];
    b.answers[0] = s.sequence;
    s.release();
  });
  b.notify = await memio.open('b/notify');
  b.notify.addEventListener('change', () => { b.answers[1] = b.notify.sequence; });

  const sum = (numbers, length) => { let total = 0; for (let i = 0; i < length; ++i) total += numbers[i]; return total; };
  b.plain = new Float64Array((100 << 20) / 8).fill(1);
  b.sumPlain = () => timed(3, n => { while (n--) b.sink = sum(b.plain, b.plain.length); });
  b.sumRegion = () => timed(3, n => { while (n--) { const s = b.bulk.read(), d = s.as(Float64Array); b.sink = sum(d, d.length); s.release(); } });

  b.source = new Uint8Array(10 << 20).fill(65);
  b.target = new Uint8Array(10 << 20);
  b.write = () => timed(20, n => { while (n--) b.writable.write(b.source); });
  b.copy = () => timed(20, n => { while (n--) b.target.set(b.source); });
  b.base64 = async () => {
    const t = performance.now();
    let text = '';
    for (let i = 0; i < b.source.length; i += 32768) text += String.fromCharCode(...b.source.subarray(i, i + 32768));
    const arrived = new Promise(resolve => { b.arrived = resolve; });
    webkit.messageHandlers.up.postMessage(btoa(text));
    await arrived;
    return performance.now() - t;
  };

  const word = new Int32Array(16);
  const poll = n => { let last = 0; while (n--) last += b.small.version; b.sink = last; };
  const load = n => { let last = 0; while (n--) last += Atomics.load(word, 5); b.sink = last; };
  const lease = n => { while (n--) { const s = b.small.read(); b.sink = s; s.release(); } };
  b.poll = () => timed(2e6, poll);
  b.load = () => timed(2e6, load);
  const store = n => { while (n--) { const s = b.small.read(); s.data[0] = n; s.release(); } };
  b.store = () => timed(5000, store);
  b.lease = () => timed(2e5, lease);

  // Only while there is something to draw: WebKit composes a page with a canvas 60 times a second, whatever happens in it.
  const canvas = Object.assign(document.createElement('canvas'), {width: 1920, height: 1080});
  const context = canvas.getContext('2d');
  const draw = pixels => context.putImageData(new ImageData(pixels, 1920, 1080), 0, 0);
  const withCanvas = async (show) => { document.body.append(canvas); const time = await show(); canvas.remove(); return time; };
  b.frames = await memio.open('b/frames');
  b.wishes = await memio.open('b/wishes', {access: 'write'});
  const wish = new Uint8Array(8);
  b.showFrames = () => withCanvas(async () => {
    let shown = 0, seen = b.frames.sequence;
    b.wishes.write(wish);
    const t = performance.now();
    for await (const s of b.frames) {
      if (s.sequence === seen) continue;
      seen = s.sequence;
      draw(s.as(Uint8ClampedArray));
      if (++shown === 20) break;
      b.wishes.write(wish);
    }
    return (performance.now() - t) / shown;
  });
  b.fetchFrames = () => withCanvas(async () => {
    const t = performance.now();
    for (let i = 0; i < 5; ++i) draw(new Uint8ClampedArray(await (await fetch('bulk://host/8294400')).arrayBuffer()));
    return (performance.now() - t) / 5;
  });
  const uploader = new Worker(URL.createObjectURL(new Blob([workerSource + `
    const bytes = new Uint8Array(100 << 20).fill(65);
    onmessage = async ({data}) => {
      try {
        const t = performance.now();
        if (data.buffer) {
          const stream = attachStream(data.buffer);
          await stream.write(bytes);
          await stream.finish();
        } else {
          await fetch(data.url, {method: 'POST', body: bytes, mode: data.mode});
        }
        postMessage(performance.now() - t);
      } catch (error) { postMessage(String(error)); }
    };`], {type: 'text/javascript'})), {type: 'module'});
  const ask = (message) => new Promise(resolve => { uploader.onmessage = ({data}) => resolve(data); uploader.postMessage(message); });
  b.upload = async () => {
    const stream = await memio.stream('b/upload', {access: 'write', timeout: 20000});
    const time = await ask({buffer: await stream.shared()});
    await stream.closed;
    return time;
  };
  b.postScheme = () => ask({url: 'bulk://host/1'});
  b.postHttp = () => ask({url: server, mode: 'no-cors'});

  b.invoke = async () => {
    const t = performance.now();
    for (let i = 0; i < 200; ++i) if (await memio.invoke('b/echo', i) !== i) throw new Error('wrong');
    return (performance.now() - t) / 200;
  };
  b.message = async () => {
    const t = performance.now();
    for (let i = 0; i < 200; ++i) if (await webkit.messageHandlers.echo.postMessage(i) !== i) throw new Error('wrong');
    return (performance.now() - t) / 200;
  };
  b.fetchBulk = async () => {
    const t = performance.now();
    const buffer = await (await fetch('bulk://host/104857600')).arrayBuffer();
    if (buffer.byteLength !== 104857600) throw new Error('short');
    return performance.now() - t;
  };
  return 1;
)js";

class JsBench {
 public:
  // `server`: the address of the HTTP server.
  JsBench(const Daemon& daemon, std::atomic<std::uint32_t>& native_answer, const std::string& server)
      : client_(daemon.connect()),
        memio_(allow(daemon)),
        bulk_(make("b/bulk", 100 * mib)),
        small_(make("b/small", 64)),
        writable_(make("b/writable", 10 * mib)),
        notify_(make("b/notify", 64)),
        answers_(make("b/answers", 64)),
        native_(open_soon(client_, "b/native", Access::write)),
        native_answer_(native_answer),
        browser_(memio_.get(), [](WebKitWebContext* context) {
          webkit_web_context_register_uri_scheme(context, "bulk", serve, nullptr, nullptr);
        }) {
    static_cast<void>(open_soon(client_, "b/wishes", Access::read));
    must(answers_.write(std::vector<std::byte>(64)));
    must(small_.write(std::vector<std::byte>(64)));
    kept_answers_.emplace(must(answers_.read()));
    publish_bulk();
    listen_for_messages();
    if (!browser_.load_uri("bulk://host/page")) die("the page did not load");
    std::ifstream worker(MEMIO_WORKER_JS);
    std::stringstream source;
    source << worker.rdbuf();
    number_of(browser_.run("const workerSource = " + Json(source.str()).dump() + ", server = " + Json(server).dump() +
                           ";" + page_functions));
  }

  // Name of the pair and its side, and how long one takes, in ns.
  using Report = std::function<void(const char*, double)>;
  void measure(const Report& report) {
    report("js_100mib/memio", time_bulk());
    report("js_100mib/scheme", in_page("await b.fetchBulk()"));
    report("js_sum/memio", in_page("b.sumRegion()"));
    report("js_sum/plain", in_page("b.sumPlain()"));
    report("js_write/memio", in_page("b.write()"));
    report("js_write/copy", in_page("b.copy()"));
    report("js_write/base64", in_page("await b.base64()"));
    report("js_upload/memio", in_page("await b.upload()"));
    report("js_upload/fetch", std::min(in_page("await b.postScheme()"), in_page("await b.postHttp()")));
    report("js_invoke/memio", in_page("await b.invoke()"));
    report("js_invoke/message", in_page("await b.message()"));
    report("js_poll/memio", in_page("b.poll()"));
    report("js_poll/atomics_load", in_page("b.load()"));
    report("js_lease/memio", in_page("b.lease()"));
    report("js_store/memio", in_page("b.store()"));
    report("js_lease/native_call", time_native_call());
    for (int i = 0; i < 40; ++i) {
      report("js_notify/memio", time_notify());
      report("js_notify/native", time_native_notify());
    }
    report("js_frames/memio", in_page("await b.showFrames()"));
    report("js_frames/scheme", in_page("await b.fetchFrames()"));
  }

 private:
  Region make(const char* name, std::uint64_t capacity) { return must(client_.create(name, {.capacity = capacity})); }

  static webext::ObjectPtr<MemioWebkit> allow(const Daemon& daemon) {
    webext::ObjectPtr<MemioWebkit> memio(memio_webkit_new());
    memio_webkit_set_socket_path(memio.get(), daemon.socket_path().c_str());
    if (!memio_webkit_allow(memio.get(), "bulk://host", "b/**", MEMIO_WEBKIT_ALL, nullptr) ||
        !memio_webkit_enable(memio.get(), "bulk://host", "workers", nullptr))
      die("no policy");
    return memio;
  }

  void listen_for_messages() {
    WebKitUserContentManager* manager = webkit_web_view_get_user_content_manager(browser_.view());
    const auto came = +[](WebKitUserContentManager*, JSCValue* value, gpointer self) {
      const webext::CharPtr text(jsc_value_to_string(value));
      gsize size = 0;
      const webext::CharPtr bytes(reinterpret_cast<char*>(g_base64_decode(text.get(), &size)));
      if (size != 10 * mib) die("a message lost bytes");
      static_cast<JsBench*>(self)->browser_.start("b.arrived();");
    };
    g_signal_connect(manager, "script-message-received::up", G_CALLBACK(came), this);
    webkit_user_content_manager_register_script_message_handler(manager, "up", nullptr);
    const auto asked =
        +[](WebKitUserContentManager*, JSCValue* value, WebKitScriptMessageReply* reply, gpointer) -> gboolean {
      webkit_script_message_reply_return_value(reply, value);
      return TRUE;
    };
    g_signal_connect(manager, "script-message-with-reply-received::echo", G_CALLBACK(asked), nullptr);
    webkit_user_content_manager_register_script_message_handler_with_reply(manager, "echo", nullptr);
  }

  // A hundred mebibytes through a URI scheme take their time.
  double in_page(const std::string& expression) {
    const auto outcome = browser_.start("return " + expression + ";");
    if (!run_until([&] { return outcome->done; }, std::chrono::minutes(2))) die(expression + " does not come back");
    return number_of(outcome->value) * per_millisecond;
  }

  // What the page has stored into b.answers.
  [[nodiscard]] const std::atomic<std::uint32_t>& answer(std::size_t index) const {
    return reinterpret_cast<const std::atomic<std::uint32_t>*>(kept_answers_->data().data())[index];
  }

  // All slots in use are touched, and filled with the number 1: what is measured is the handing over.
  void publish_bulk() {
    for (int i = 0; i < 2; ++i) {
      const auto place = must(bulk_.begin(100 * mib));
      std::fill_n(reinterpret_cast<double*>(place.data()), place.size() / sizeof(double), 1.0);
      must(bulk_.commit());
    }
  }

  double time_bulk() {
    must(bulk_.begin(100 * mib));
    return time_publish([this] { return must(bulk_.commit()); }, answer(0), "the page");
  }

  // From the publish until `answered` has its sequence. In a thread of its own, as publishers are programs of their
  // own: the web view's main loop sleeps meanwhile, or does what the web process asks of it.
  double time_publish(const std::function<std::uint64_t()>& publish, const std::atomic<std::uint32_t>& answered,
                      const char* whose) {
    std::atomic<double> taken = 0;
    const std::jthread publisher([&] {
      let_a_frame_pass();
      const auto start = Clock::now();
      const auto sequence = static_cast<std::uint32_t>(publish());
      while (answered.load() != sequence)
        if (since(start) > 20e9) die(std::string(whose) + " has not answered for 20 seconds");
      taken = since(start);
      g_main_context_wakeup(nullptr);
    });
    while (taken == 0) g_main_context_iteration(nullptr, TRUE);
    return taken;
  }

  // Publishes come at the pace of a display's or a camera's frames: both sides have long slept when they are called.
  static void let_a_frame_pass() { std::this_thread::sleep_for(std::chrono::milliseconds(16)); }

  double time_notify() {
    return time_publish([this] { return must(notify_.write(std::vector<std::byte>(8))); }, answer(1), "the page");
  }
  double time_native_notify() {
    return time_publish([this] { return must(native_.write(std::vector<std::byte>(8))); }, native_answer_,
                        "the native program");
  }

  double time_native_call() {
    constexpr int calls = 200'000;
    const webext::ObjectPtr<JSCContext> context(jsc_context_new());
    const auto nothing =
        +[](GPtrArray*, gpointer) -> JSCValue* { return jsc_value_new_undefined(jsc_context_get_current()); };
    const webext::ObjectPtr<JSCValue> function(
        jsc_value_new_function_variadic(context.get(), "f", G_CALLBACK(nothing), nullptr, nullptr, JSC_TYPE_VALUE));
    jsc_context_set_value(context.get(), "f", function.get());
    const webext::ObjectPtr<JSCValue> loop(jsc_context_evaluate(context.get(), "(n => { while (n--) f(7); })", -1));
    const auto run = [&] {
      const auto start = Clock::now();
      const webext::ObjectPtr<JSCValue> result(jsc_value_function_call(loop.get(), G_TYPE_INT, calls, G_TYPE_NONE));
      return since(start) / calls;
    };
    run();  // until the compiler has had its way with it
    return run();
  }

  Client client_;
  webext::ObjectPtr<MemioWebkit> memio_;
  Region bulk_, small_, writable_, notify_, answers_, native_;
  std::optional<Snapshot> kept_answers_;
  std::atomic<std::uint32_t>& native_answer_;
  Browser browser_;
};

std::optional<std::string> argument(int argc, char** argv, std::string_view name) {
  for (int i = 1; i < argc; ++i)
    if (std::string_view(argv[i]).starts_with(name)) return argv[i] + name.size();
  return std::nullopt;
}

}  // namespace

int main(int argc, char** argv) {
  const auto out = argument(argc, argv, "--benchmark_out=");
  const auto wanted = argument(argc, argv, "--benchmark_repetitions=");
  const int repetitions = std::min(most_repetitions, wanted ? std::stoi(*wanted) : most_repetitions);

  run_before_others();
  const Daemon daemon;
  // Before GTK makes threads, which a forked process would not have.
  Shared<std::atomic<std::uint32_t>> native_answer;
  const test::Process native = test::Process::fork([&] { return answer_natively(daemon, *native_answer); });
  const test::Process frames = test::Process::fork([&] { return publish_frames(daemon); });
  const test::Process streams = test::Process::fork([&] { return read_streams(daemon); });
  const test::Process calls = test::Process::fork([&] { return answer_calls(daemon); });
  const auto [listening, port] = listen_locally();
  const int listening_fd = listening.get();
  const test::Process posts = test::Process::fork([&] { return serve_posts(listening_fd); });
  gtk_init();

  Json runs = Json::array();
  {
    JsBench bench(daemon, *native_answer, "http://127.0.0.1:" + std::to_string(port) + "/");
    bench.measure([](const char*, double) {});  // warm
    for (int i = 0; i < repetitions; ++i)
      bench.measure([&](const char* name, double time) {
        runs.push_back(
            {{"name", name}, {"run_type", "iteration"}, {"time_unit", "ns"}, {"real_time", time}, {"cpu_time", time}});
      });
  }
  const Json result = {{"benchmarks", runs}};
  if (out)
    std::ofstream(*out) << result.dump();
  else
    std::cout << result.dump(1) << std::endl;
  return 0;
}
