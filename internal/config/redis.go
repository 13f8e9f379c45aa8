package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// kinds are the variables by which a Redis is named, without their prefix.
func (r Redis) kinds() []string {
	var named []string
	for _, kind := range []struct {
		name string
		set  bool
	}{
		{"HOST", r.Host != ""}, {"URL", r.URL.IsSet()},
		{"SENTINEL_HOSTS", r.Sentinels != "" || r.Master != ""},
		{"CLUSTER_HOSTS", r.Cluster != ""}, {"EMBEDDED", r.Embedded},
	} {
		if kind.set {
			named = append(named, kind.name)
		}
	}
	return named
}

// Kind is the variable by which r is named, without its prefix.
func (r Redis) Kind() string {
	if kinds := r.kinds(); len(kinds) > 0 {
		return kinds[0]
	}
	return "HOST"
}

// check checks r's variables against each other. The files that they name are read when a
// connection is made, since they may change.
func (r Redis) check() Faults {
	var faults Faults
	fault := func(name, msg string) { faults = append(faults, Fault{r.Variable(name), msg}) }
	if kinds := r.kinds(); len(kinds) > 1 {
		for i, name := range kinds {
			kinds[i] = r.Variable(name)
		}
		faults = append(faults,
			Fault{Msg: fmt.Sprintf("more than one Redis is named, by %s: keep one of them",
				strings.Join(kinds, " and "))})
	}
	if strings.ContainsAny(r.Host, "@/ ") {
		fault("HOST", fmt.Sprintf("it is the name or address of a host alone: the rest belongs to "+
			"%sPORT, %[1]sUSERNAME, %[1]sPASSWORD, or all of it to %[1]sURL", r.Prefix))
	}
	if host, port, err := net.SplitHostPort(r.Host); err == nil && host != "" && port != "" {
		fault("HOST", fmt.Sprintf("it is a host alone: the port belongs to %sPORT", r.Prefix))
	}
	if port, err := strconv.ParseUint(r.Port, 10, 16); r.Port != "" && (err != nil || port == 0) {
		fault("PORT", "it is a port from 1 to 65535")
	}
	switch {
	case r.DB < 0:
		fault("DB", "it is a database number from 0")
	case r.DB > 0 && r.Cluster != "":
		fault("DB", "a Cluster has only database 0: unset it, and keep APIs apart by REDIS_KEY_PREFIX")
	}
	if r.PoolSize < 0 {
		fault("POOL_SIZE", "it is a number of connections, or 0 for 10 for each CPU")
	}
	r.checkSentinel(fault)
	r.checkTLS(fault)
	return faults
}

func (r Redis) checkSentinel(fault func(name, msg string)) {
	switch {
	case r.Sentinels != "" && r.Master == "":
		fault("SENTINEL_MASTER",
			fmt.Sprintf("it is missing: the name of the primary that the Sentinels of "+
				"%sSENTINEL_HOSTS watch, as in their sentinel monitor NAME …", r.Prefix))
	case r.Master != "" && r.Sentinels == "":
		fault("SENTINEL_HOSTS", "it is missing: the Sentinels that watch "+
			r.Variable("SENTINEL_MASTER")+
			", like sentinel1:26379,sentinel2:26379,sentinel3:26379")
	case r.Sentinels == "" && (r.SentinelUsername != "" || r.SentinelPassword.IsSet()):
		fault("SENTINEL_HOSTS", "it is missing, though the credentials of Sentinels are set")
	}
}

func (r Redis) checkTLS(fault func(name, msg string)) {
	switch {
	case r.CertFile != "" && r.KeyFile == "":
		fault("TLS_KEY_FILE", "it is missing: the key of the certificate in "+
			r.Variable("TLS_CERT_FILE"))
	case r.KeyFile != "" && r.CertFile == "":
		fault("TLS_CERT_FILE", "it is missing: the certificate of the key in "+
			r.Variable("TLS_KEY_FILE"))
	}
	if r.TLS || r.URL.IsSet() { // which may be rediss://, known when it is read
		return
	}
	for _, file := range []struct{ name, value string }{
		{"TLS_CA_FILE", r.CAFile}, {"TLS_CERT_FILE", r.CertFile}, {"TLS_SERVER_NAME", r.ServerName},
	} {
		if file.value != "" {
			fault(file.name, "it is set without "+r.Variable("TLS")+
				"=true: set that, or unset this")
		}
	}
}
