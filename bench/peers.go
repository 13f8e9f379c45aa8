package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A peer is another way to do the same work.
type peer struct {
	name  string
	kinds []string
	start func(s *stack, ctx context.Context) (server, error)
}

// peers are the ones that can do the work. HAProxy caches no response to a request with
// Authorization; Varnish and HAProxy cannot read from Redis.
var peers = []peer{
	{"nginx", []string{hit, passThrough}, (*stack).nginx},
	{"nginx with Lua", []string{fromRedis}, (*stack).nginxLua},
	{"Varnish", []string{hit, passThrough}, (*stack).varnish},
	{"HAProxy", []string{passThrough}, (*stack).haproxy},
	{"sidecar, API on a Unix socket", []string{passThrough}, (*stack).sidecarByUnix},
	{relayName, []string{passThrough}, (*stack).relay},
}

// reference is the peer that ratios are taken of.
func reference(kind string) string {
	if kind == fromRedis {
		return "nginx with Lua"
	}
	return "nginx"
}

// startPeers starts the peers that some kind needs. A peer that is not there is noted.
func (s *stack) startPeers(ctx context.Context, kinds []string) map[string]server {
	started := map[string]server{}
	for _, p := range peers {
		if !slices.ContainsFunc(p.kinds, func(k string) bool { return slices.Contains(kinds, k) }) {
			continue
		}
		v, err := p.start(s, ctx)
		if err == nil {
			err = s.answers(ctx, v, "/"+p.kinds[0]+"/b200")
		}
		if err != nil {
			s.missing = append(s.missing, fmt.Sprintf("%s: %v", p.name, err))
			continue
		}
		started[p.name] = v
	}
	return started
}

// sidecarByUnix spares one of the two ways over the loopback interface.
func (s *stack) sidecarByUnix(ctx context.Context) (server, error) {
	return s.sidecar(ctx, "sidecar-unix", policies, "BACKEND_URL=unix://"+s.origin.socket)
}

// nginxFrame lets nginx run as any user, with everything in one directory.
const nginxFrame = `%[1]s
worker_processes auto; daemon off; pid %[2]s.pid; error_log %[2]s.err;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 100000000; sendfile on; tcp_nopush on;
  client_body_temp_path %[2]s.body; proxy_temp_path %[2]s.proxy; fastcgi_temp_path %[2]s.fastcgi;
  uwsgi_temp_path %[2]s.uwsgi; scgi_temp_path %[2]s.scgi;
  %[3]s
}
`

func (s *stack) startNginx(name, modules, body string) (v server, err error) {
	program, err := find("nginx")
	if err != nil {
		return v, err
	}
	if v.addr, err = freeAddr(); err != nil {
		return v, err
	}
	body = strings.ReplaceAll(body, "ADDR", v.addr)
	base := filepath.Join(s.dir, name)
	conf, err := s.file(name+".conf", fmt.Sprintf(nginxFrame, modules, base, body))
	if err != nil {
		return v, err
	}
	v.process, err = s.start(name, nil, program, "-c", conf, "-e", base+".err")
	return v, err
}

// nginx has Debian's settings, but for the large bodies: with tcp_nopush it waits for 40 ms within
// some of them.
func (s *stack) nginx(context.Context) (server, error) {
	cache := filepath.Join(s.dir, "nginx.cache")
	return s.startNginx("nginx", "", fmt.Sprintf(`
  upstream api {
    server %[2]s;
    keepalive 300;
  }
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_cache_path %[1]s keys_zone=answers:20m;
  proxy_cache_key "$request_uri $http_authorization";
  open_file_cache max=4000;
  server {
    listen ADDR reuseport;
    location / { proxy_pass http://api; }
    location /hit/ {
      proxy_pass http://api;
      proxy_cache answers;
      proxy_ignore_headers Cache-Control;
      proxy_cache_valid 1h;
      location /hit/B {
        proxy_pass http://api;
        tcp_nopush off;
      }
    }
  }`, cache, s.origin.addr))
}

func (s *stack) nginxLua(ctx context.Context) (v server, err error) {
	const dir, client = "/usr/lib/nginx/modules/", "/usr/share/lua/5.1/nginx/redis.lua"
	modules := ""
	for _, m := range []string{"ndk_http_module.so", "ngx_http_lua_module.so"} {
		if _, err := os.Stat(dir + m); err != nil {
			return v, err
		}
		modules += "load_module " + dir + m + ";\n"
	}
	if _, err := os.Stat(client); err != nil {
		return v, err
	}
	host, port, _ := strings.Cut(s.client.Options().Addr, ":")
	v, err = s.startNginx("nginx-lua", modules, fmt.Sprintf(`
  lua_package_path "/usr/share/lua/5.1/?.lua;/usr/share/lua/5.1/nginx/?.lua;;";
  server {
    listen ADDR reuseport;
    location / {
      default_type application/json;
      content_by_lua_block {
        local client = require("nginx.redis"):new()
        client:set_timeout(2000)
        assert(client:connect("%s", %s))
        local name = string.match(ngx.var.uri, "[^/]+$")
        local body = assert(client:get("bench:" .. name))
        client:set_keepalive(30000, 300)
        if body == ngx.null then ngx.exit(ngx.HTTP_NOT_FOUND) end
        ngx.header.content_length = #body
        ngx.print(body)
      }
    }
  }`, host, port))
	if err != nil {
		return v, err
	}
	return v, s.storeForLua(ctx, 200)
}

// storeForLua puts a body where nginx looks for it.
func (s *stack) storeForLua(ctx context.Context, size int) error {
	name := sizeName(size)
	return s.client.Set(ctx, "bench:"+name, s.origin.body(name), 0).Err()
}

func (s *stack) varnish(context.Context) (v server, err error) {
	program, err := find("varnishd")
	if err != nil {
		return v, err
	}
	if v.addr, err = freeAddr(); err != nil {
		return v, err
	}
	host, port, _ := strings.Cut(s.origin.addr, ":")
	vcl, err := s.file("default.vcl", fmt.Sprintf(`vcl 4.1;
backend default { .host = "%s"; .port = "%s"; }
sub vcl_recv {
  if (req.url !~ "^/hit/") { return (pass); }
  return (hash);
}
sub vcl_hash {
  hash_data(req.http.Authorization);
  hash_data(req.url);
  return (lookup);
}
sub vcl_backend_response {
  set beresp.ttl = 1h;
  return (deliver);
}
`, host, port))
	if err != nil {
		return v, err
	}
	v.process, err = s.start("varnish", nil, program, "-F", "-f", vcl, "-a", v.addr,
		"-s", "malloc,256m", "-n", filepath.Join(s.dir, "varnish"))
	return v, err
}

func (s *stack) haproxy(context.Context) (v server, err error) {
	program, err := find("haproxy")
	if err != nil {
		return v, err
	}
	if v.addr, err = freeAddr(); err != nil {
		return v, err
	}
	conf, err := s.file("haproxy.cfg", fmt.Sprintf(`defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
listen f
  bind %s
  server s %s
`, v.addr, s.origin.addr))
	if err != nil {
		return v, err
	}
	v.process, err = s.start("haproxy", nil, program, "-f", conf)
	return v, err
}
