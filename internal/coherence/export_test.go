package coherence

// SetBetween sets a hook between the two pipelines of an end in Cluster.
func (k *Keyspace) SetBetween(f func()) { k.between = f }
