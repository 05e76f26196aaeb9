package realm

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"

	"github.com/runplane/runplane/runtime/redact"
	"github.com/runplane/runplane/schemas"
)

// conn is one initialised connection to a realm. All calls share it and none closes it. It fails once, with a cause: done is
// closed, and the realm's goroutine closes the conn when the calls on it have ended.
type conn struct {
	realm  string
	kind   string
	log    hclog.Logger
	redact *redact.Redactor
	tr     transport.Interface
	proc   *process // nil except for stdio
	pipe   *pipe    // nil except for stdio

	client   *client.Client
	modern   bool
	version  string // negotiated protocol
	server   string // name and version that the realm reports
	title    string // of the server, as it reports it
	maxDepth int    // levels of nesting in an answer
	metaTail []byte // the fields of `_meta` that a modern realm requires in each request, after a comma

	ids         atomic.Int64
	listed      atomic.Bool // the realm's listing or listErr is of this connection
	progress    progressTable
	headerTools atomic.Pointer[map[string]mcp.Tool] // tools with arguments that a modern HTTP realm requires in headers too

	changed     chan struct{} // size 1: the realm reported that its tools changed
	declines    chan []byte   // answers to requests of an SSE realm; best effort, dropped when full
	sendDecline func(ctx context.Context, line []byte) error
	abandoned   chan int64 // requests to cancel downstream; best effort, dropped when full

	done  chan struct{} // closed after cause is set
	cause error
	once  sync.Once

	listeners sync.WaitGroup // requests that are kept open for late answers, and reports of those
	listening atomic.Int32   // of these, requests whose caller has stopped waiting

	calls   atomic.Int64
	retired atomic.Bool
	idle    chan struct{} // size 1: the last call of a retired conn ended
}

// firstID separates the request ids of this package from those of mcp-go's client, which counts from 1 on the same transport and sends the
// handshake alone. It is small: some servers read ids of 32 bits.
const firstID = 1000

// dialer connects to one realm.
type dialer struct {
	name, kind, protocol, version string
	spec                          schemas.Realm
	inherit                       []string // variables that a child gets
	limits                        Limits
	start                         spawn
	groups                        *groups
	redact                        *redact.Redactor
	log                           hclog.Logger
	network                       func(ctx context.Context, network, address string) (net.Conn, error) // nil: the default
}

// errHandshakeDied: the child ended during the handshake.
var errHandshakeDied = errors.New("ended during the handshake")

// dial connects and does the handshake within ctx. The conn lasts until close, even if ctx ends. An old server may exit at the
// request that asks whether it is a modern one; then the legacy handshake is tried.
func (d *dialer) dial(ctx context.Context) (*conn, error) {
	c, err := d.attempt(ctx, d.protocol)
	if errors.Is(err, errHandshakeDied) && cmp.Or(d.protocol, "auto") == "auto" && ctx.Err() == nil {
		if old, err := d.attempt(ctx, mcp.LATEST_LEGACY_PROTOCOL_VERSION); err == nil {
			return old, nil
		}
	}
	return c, err
}

func (d *dialer) attempt(ctx context.Context, protocol string) (*conn, error) {
	c := &conn{
		realm: d.name, kind: d.kind, log: d.log, maxDepth: d.limits.MaxDepth, redact: d.redact,
		changed: make(chan struct{}, 1), abandoned: make(chan int64, 256), declines: make(chan []byte, 64),
		done: make(chan struct{}), idle: make(chan struct{}, 1),
	}
	c.ids.Store(firstID)
	life, cancel := context.WithCancel(context.WithoutCancel(ctx)) // of the streams
	idle := func() {}
	var err error
	if d.kind == transportStdio {
		if c.proc, err = startProcess(d.name, d.spec, d.inherit, d.limits, d.start, d.groups, d.redact, d.log); err != nil {
			cancel()
			return nil, err
		}
		p := newPipe(c.proc.stdout, c.proc.stdin, d.limits.MaxMessage, d.log)
		c.tr, c.pipe = p, p
		p.wg.Go(func() { c.watchExit(p) })
	} else {
		var web *http.Client
		if c.tr, web, err = d.newHTTPTransport(c.onRequest); err != nil {
			cancel()
			return nil, err
		}
		idle = web.CloseIdleConnections
		if sse, ok := c.tr.(*transport.SSE); ok {
			c.sendDecline = func(ctx context.Context, line []byte) error { return postTo(ctx, web, sse, d.spec.Headers, line) }
		}
	}
	c.tr = &adapter{Interface: c.tr, log: d.log, onClose: func() { cancel(); idle() }}
	if sse, ok := c.tr.(*adapter).Interface.(*transport.SSE); ok {
		sse.SetConnectionLostHandler(func(err error) { c.fail(fmt.Errorf("the event stream ended: %w", err)) })
	}

	options := []client.ClientOption{client.WithDiscoverTimeout(d.limits.ProbeTimeout)}
	if protocol = cmp.Or(protocol, "auto"); protocol == "auto" && d.kind == transportSSE {
		protocol = mcp.LATEST_LEGACY_PROTOCOL_VERSION // the stateless protocol has no such transport
	}
	if protocol != "auto" {
		options = append(options, client.WithProtocolVersion(protocol))
	}
	c.client = client.NewClient(c.tr, options...)
	c.client.OnNotification(c.onNotification)
	if err := c.handshake(ctx, life, d.version); err != nil {
		if c.proc != nil {
			if err = c.exitCause(err); c.proc.exitedUnasked() {
				err = fmt.Errorf("%w: %w", errHandshakeDied, err)
			} else if slow, ok := errors.AsType[*schemas.Error](err); ok {
				if words := c.proc.stderr.last(); words != "" {
					err = slow.With(func(e *schemas.Error) { e.Message += "; last on stderr: " + words })
				}
			}
		}
		c.fail(err)
		c.close()
		return nil, err
	}
	return c, nil
}

// handshake starts the transport on life and initialises within ctx. If ctx ends or the conn fails, the conn is closed, which
// unblocks the handshake.
func (c *conn) handshake(ctx, life context.Context, version string) error {
	done := make(chan error, 1)
	go func() {
		done <- c.initialize(ctx, life, mcp.Implementation{Name: "runplane", Version: cmp.Or(version, "dev")})
	}()
	var err error
	select {
	case err = <-done:
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return err
	case <-c.done:
		err = c.cause
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	c.close()
	<-done //nolint:errcheck // err has the reason
	return err
}

func (c *conn) initialize(ctx, life context.Context, me mcp.Implementation) error {
	if err := c.client.Start(life); err != nil {
		return err
	}
	result, err := c.client.Initialize(ctx, mcp.InitializeRequest{Params: mcp.InitializeParams{ClientInfo: me}})
	if err != nil {
		return err
	}
	c.version = c.client.ProtocolVersion()
	c.modern = mcp.IsModernProtocol(c.version)
	c.title = c.redact.Text(clean(strings.TrimSpace(result.ServerInfo.Title), 200))
	c.server = c.redact.Text(clean(strings.TrimSpace(result.ServerInfo.Name+" "+result.ServerInfo.Version), 200))
	if c.modern {
		return c.setMeta(me)
	}
	return nil
}

// setMeta prepares the fields that a stateless protocol requires in every request.
func (c *conn) setMeta(me mcp.Implementation) error {
	info, err := json.Marshal(me)
	if err != nil {
		return err
	}
	c.metaTail = fmt.Appendf(nil, `,%q:%q,%q:{},%q:%s`,
		mcp.MetaKeyProtocolVersion, c.version, mcp.MetaKeyClientCapabilities, mcp.MetaKeyClientInfo, info)
	return nil
}

// watchExit fails the conn when the pipe or the child ends.
func (c *conn) watchExit(p *pipe) {
	select {
	case <-p.ended:
		c.fail(c.exitCause(p.cause))
	case <-c.proc.exited:
		// Read what the child wrote before it ended.
		timer := time.NewTimer(2 * drainTime)
		defer timer.Stop()
		select {
		case <-p.ended:
		case <-timer.C:
		}
		c.fail(c.proc.exitError())
		p.fail(c.proc.exitError())
	}
}

// fail ends the conn; the first cause is kept.
func (c *conn) fail(cause error) {
	c.once.Do(func() {
		c.cause = cause
		close(c.done)
	})
}

// exitCause replaces the error of a pipe by how the child ended, if that is known soon.
func (c *conn) exitCause(err error) error {
	if c.proc == nil {
		return err
	}
	if e, ok := errors.AsType[*schemas.Error](err); ok {
		return e // it was ended from outside
	}
	if c.proc.exitsWithin(drainTime) {
		return c.proc.exitError()
	}
	return err
}

// run does the work of a conn besides calls, until it fails or ctx ends: it listens for changes of the tools, cancels abandoned
// requests and declines requests of the realm. Cancellations that are due at the end are still sent, for up to closeTimeout.
func (c *conn) run(ctx context.Context) {
	listening, stopListening := context.WithCancel(ctx)
	sending, stopSending := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSending()
	var listener, senders sync.WaitGroup
	defer listener.Wait()
	defer stopListening()
	if caps := c.client.GetServerCapabilities(); c.modern && caps.Tools != nil && caps.Tools.ListChanged {
		listener.Go(func() {
			if err := c.client.Listen(listening, mcp.SubscriptionFilter{ToolsListChanged: true}); err != nil && listening.Err() == nil {
				c.log.Debug("no subscription to changes of the tools; they are read again after catalog_ttl", "error", err)
			}
		})
	}
	cancel := func(id int64) { senders.Go(func() { c.cancelDownstream(sending, id) }) }
	decline := func(line []byte) {
		ctx, cancel := context.WithTimeout(sending, cancelTimeout)
		defer cancel()
		if err := c.sendDecline(ctx, line); err != nil {
			c.log.Debug("request of the realm was not answered", "error", err)
		}
	}
	for open := true; open; {
		select {
		case <-ctx.Done():
			open = false
		case <-c.done:
			open = false
		case id := <-c.abandoned:
			cancel(id)
		case line := <-c.declines:
			senders.Go(func() { decline(line) })
		}
	}
	cutOffGrace := time.AfterFunc(closeTimeout, stopSending)
	defer cutOffGrace.Stop()
	for {
		select {
		case id := <-c.abandoned:
			cancel(id)
		default:
			senders.Wait()
			return
		}
	}
}

// cancelTimeout bounds sending a cancellation to a realm.
const cancelTimeout = 5 * time.Second

func (c *conn) cancelDownstream(ctx context.Context, id int64) {
	ctx, cancel := context.WithTimeout(ctx, cancelTimeout)
	defer cancel()
	err := c.tr.SendNotification(ctx, mcp.JSONRPCNotification{JSONRPC: mcp.JSONRPC_VERSION, Notification: mcp.Notification{
		Method: string(mcp.MethodNotificationCancelled),
		Params: mcp.NotificationParams{AdditionalFields: map[string]any{"requestId": id, "reason": "no longer wanted"}},
	}})
	if err != nil {
		c.log.Debug("cancellation was not sent to the realm", "error", err)
	}
}

// onRequest runs on the read loop of an SSE realm's stream and declines a request of the realm.
func (c *conn) onRequest(id json.RawMessage, method string) {
	select {
	case c.declines <- declineLine(id, method):
	default: // requests come faster than they can be declined
	}
}

// onNotification runs on the read loop of the transport.
func (c *conn) onNotification(n mcp.JSONRPCNotification) {
	switch n.Method {
	case string(mcp.MethodNotificationProgress):
		c.progress.push(n.Params.AdditionalFields, c.redact.Text)
	case string(mcp.MethodNotificationToolsListChanged):
		select {
		case c.changed <- struct{}{}:
		default:
		}
	}
}

// acquire counts a call; false: the conn is retired.
func (c *conn) acquire() bool {
	c.calls.Add(1)
	if c.retired.Load() {
		c.release()
		return false
	}
	return true
}

func (c *conn) release() {
	if c.calls.Add(-1) == 0 && c.retired.Load() {
		select {
		case c.idle <- struct{}{}:
		default:
		}
	}
}

// retire accepts no more calls, waits for those in flight if they can still be answered, and closes.
func (c *conn) retire(ctx context.Context) {
	c.retired.Store(true)
	if c.kind == transportHTTP { // on other transports the end of the stream ended the calls
		for c.calls.Load() > 0 && ctx.Err() == nil {
			select {
			case <-c.idle:
			case <-ctx.Done():
			}
		}
	}
	c.close()
}

// close ends everything that belongs to the conn and returns when it has ended.
func (c *conn) close() {
	if c.proc != nil {
		c.proc.stop()
	}
	if err := c.tr.Close(); err != nil && c.proc == nil {
		c.log.Debug("closing the connection", "error", err)
	}
	c.reportGone()
	c.listeners.Wait()
}
