# frozen_string_literal: true

# WebSockets through the balancer, until SIGINT asks for the report, which has the form of hey's.
#
#   ruby websockets.rb URL_HOST BALANCER_ADDRESS PORT PATH COUNT INTERVAL
#
# Opens COUNT of them over TLS and says a numbered text on each every INTERVAL seconds; the other end says it back, with its
# name before it if the handshake had an X-Node. What a client may expect of a node that is stopped in good order is no
# failure: the socket ends while nothing is outstanding, or with 1001 (going away) in place of an echo, so that the text was
# not heard and is said again on the next socket. Both are counted as reopened.

is_over = false
trap('INT') { is_over = true }

require 'digest'
require 'openssl'
require 'securerandom'
require 'socket'
require 'timeout'

# Seconds that an open and an echo may take.
PATIENCE = 15
GOING_AWAY = 1001

def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

# What became of the texts of all sockets.
class Tally
  def initialize
    @lock = Mutex.new
    @times = []
    @reopened = 0
    @unheard = 0
    @failures = Hash.new(0)
  end

  def echo(seconds) = @lock.synchronize { @times << seconds }
  def reopened = @lock.synchronize { @reopened += 1 }
  def unheard = @lock.synchronize { @unheard += 1 }
  def failed(text) = @lock.synchronize { @failures[text] += 1 }

  def to_s
    [latencies, statuses, "reopened: #{@reopened}\nunheard: #{@unheard}\n", errors].compact.join("\n")
  end

  private

  def latencies
    return if @times.empty?

    times = @times.sort
    lines = [10, 25, 50, 75, 90, 95, 99].map do |share|
      format("  %d%% in %.4f secs\n", share, times[(times.size * share / 100.0).ceil - 1])
    end
    "Latency distribution:\n#{lines.join}"
  end

  def statuses
    "Status code distribution:\n  [101]\t#{@times.size} responses\n" unless @times.empty?
  end

  def errors
    return if @failures.empty?

    "Error distribution:\n#{@failures.map { |text, count| "  [#{count}]\t#{text}\n" }.join}"
  end
end

# One WebSocket of RFC 6455, as a client needs it that says short texts.
class WebSocket
  class Refused < StandardError; end

  # What an open may fail with.
  FAULTS = [Refused, SystemCallError, SocketError, EOFError, OpenSSL::SSL::SSLError, Timeout::Error].freeze

  TEXT = 0x1
  CLOSE = 0x8
  PING = 0x9
  PONG = 0xa

  # Who answered the handshake.
  attr_reader :node

  def initialize(host, address, port, path)
    @received = String.new(encoding: Encoding::BINARY)
    Timeout.timeout(PATIENCE, Timeout::Error, "not open within #{PATIENCE} s") do
      connect(host, address, port)
      shake_hands(host, path)
    end
  rescue StandardError
    cut
    raise
  end

  # A write that fails says nothing that the next read does not say better.
  def say(text)
    send_frame(TEXT, text)
  rescue SystemCallError, OpenSSL::SSL::SSLError
    nil
  end

  # What comes next: [:text, text], [:close, code], [:eof], [:broken, why]; nil when nothing came until then.
  def hear(deadline)
    loop do
      opcode, payload = take_frame
      case opcode
      when TEXT then return [:text, payload.force_encoding(Encoding::UTF_8)]
      when CLOSE then return [:close, payload.unpack1('n')]
      when PING then send_frame(PONG, payload)
      when nil then return unless receive(deadline)
      end
    end
  rescue EOFError
    [:eof]
  rescue SystemCallError, OpenSSL::SSL::SSLError => e
    e.message.include?('unexpected eof') ? [:eof] : [:broken, e.message]
  end

  # Closes in good order, with the code that the other side had.
  def close(code = 1000)
    send_frame(CLOSE, [code || 1000].pack('n'))
    @tls.close
  rescue SystemCallError, OpenSSL::SSL::SSLError
    nil
  ensure
    cut
  end

  # Closes without a word.
  def cut
    @tcp&.close
  end

  private

  def connect(host, address, port)
    @tcp = TCPSocket.new(address, port)
    @tcp.setsockopt(Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1)
    # The lab's certificates are its own.
    context = OpenSSL::SSL::SSLContext.new
    context.verify_mode = OpenSSL::SSL::VERIFY_NONE
    @tls = OpenSSL::SSL::SSLSocket.new(@tcp, context)
    @tls.hostname = host
    @tls.connect
  end

  def shake_hands(host, path)
    key = [SecureRandom.bytes(16)].pack('m0')
    @tls.write("GET #{path} HTTP/1.1\r\nHost: #{host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: #{key}\r\n\r\n")
    receive(now + PATIENCE) until @received.include?("\r\n\r\n")
    status, *lines = @received.slice!(/\A.*?\r\n\r\n/mn).split("\r\n")
    raise Refused, "answered #{status}" unless status.start_with?('HTTP/1.1 101 ')

    headers = lines.to_h { |line| line.split(/:\s*/, 2) }.transform_keys(&:downcase)
    accept = Digest::SHA1.base64digest("#{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
    raise Refused, 'answered with a wrong Sec-WebSocket-Accept' unless headers['sec-websocket-accept'] == accept

    @node = headers['x-node']
  end

  # Whether anything came until then.
  def receive(deadline)
    loop do
      got = @tls.read_nonblock(16_384, exception: false)
      raise EOFError, 'the connection ended' if got.nil?
      return @received << got unless got.is_a?(Symbol)

      left = deadline - now
      return false unless left.positive?

      got == :wait_readable ? @tcp.wait_readable(left) : @tcp.wait_writable(left)
    end
  end

  # [opcode, payload] of the first frame, if it is there as a whole. A server's is not masked.
  def take_frame
    return if @received.bytesize < 2

    length = @received.getbyte(1) & 0x7f
    at = { 126 => 4, 127 => 10 }.fetch(length, 2)
    return if @received.bytesize < at

    length = @received.byteslice(2, at - 2).unpack1(at == 4 ? 'n' : 'Q>') if at > 2
    return if @received.bytesize < at + length

    frame = @received.slice!(0, at + length)
    [frame.getbyte(0) & 0x0f, frame.byteslice(at, length)]
  end

  # Masked, as a client's must be, and of 125 bytes at most.
  def send_frame(opcode, payload)
    mask = SecureRandom.bytes(4)
    masked = payload.bytes.each_with_index.map { |byte, i| byte ^ mask.getbyte(i % 4) }
    @tls.write([0x80 | opcode, 0x80 | masked.size].pack('CC') + mask + masked.pack('C*'))
  end
end

# One socket that is kept open, and its texts, one at a time.
class Client
  def initialize(number, interval, tally, is_over, open)
    @number = number
    @interval = interval
    @tally = tally
    @is_over = is_over
    @open = open
    @said = 0
  end

  # A text that is outstanding when the end is asked for still gets its echo.
  def run
    @due = now
    until @is_over.call && @text.nil?
      if @socket ||= open
        exchange
        rest unless @is_over.call
      else
        break if @is_over.call

        sleep(@interval)
      end
    end
    @socket&.close
  end

  private

  def open
    @open.call
  rescue *WebSocket::FAULTS => e
    @tally.failed("open: #{e.message}")
    nil
  end

  def exchange
    unless @text
      @text = "#{@number}.#{@said += 1}"
      @since = now
    end
    @socket.say(@text)
    kind, what = @socket.hear(now + PATIENCE)
    case kind
    when :text then echoed(what)
    when :close then what == GOING_AWAY ? unheard : lost("closed with #{what.inspect} while a text was outstanding")
    when :eof then lost('ended without a close frame while a text was outstanding')
    when :broken then lost("broke while a text was outstanding: #{what}")
    else lost("no echo within #{PATIENCE} s")
    end
  end

  def echoed(what)
    if what == [@socket.node, @text].compact.join(' ')
      @tally.echo(now - @since)
      @text = nil
    else
      lost("a wrong echo: #{what.inspect}")
    end
  end

  def unheard
    @tally.unheard
    reopen(GOING_AWAY)
  end

  # The text is given up, and its socket.
  def lost(why)
    @tally.failed("#{@socket.node || 'a node'}: #{why}")
    @text = nil
    @socket.cut
    @socket = nil
  end

  def reopen(code)
    @tally.reopened
    @socket.close(code)
    @socket = nil
  end

  # Until the next text is due. A socket that ends meanwhile is opened again at once, and one whose text was not heard.
  def rest
    return @text || sleep(@interval) if @socket.nil?

    @due = [@due + @interval, now].max
    kind, what = @socket.hear(@due)
    case kind
    when :close then reopen(what)
    when :eof then reopen(nil)
    when :broken then lost("broke: #{what}")
    when :text then lost("a text that nobody asked for: #{what.inspect}")
    end
  end
end

host, address, port, path, count, interval = ARGV
abort 'websockets.rb URL_HOST BALANCER_ADDRESS PORT PATH COUNT INTERVAL' unless ARGV.size == 6

tally = Tally.new
open = -> { WebSocket.new(host, address, Integer(port), path) }
clients = Array.new(Integer(count)) do |i|
  Thread.new { Client.new(i + 1, Float(interval), tally, -> { is_over }, open).run }
end
clients.each(&:join)
$stdout.write(tally)
