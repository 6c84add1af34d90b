"""The federation's health."""

from __future__ import annotations

from typing import Final

HEALTH: Final = {
    "health.title": ("Federation health", "联邦运行状况"),
    "health.answers": ("The coordinator answers.", "协调方有应答。"),
    "health.silent": ("The coordinator does not answer", "协调方无应答"),
    "health.copy": ("This is a copy of the log, beside no running federation.", "这是日志副本，旁边没有运行中的联邦。"),
    "health.all_up": ("All {n} parties are connected", "全部 {n} 方已连接"),
    "health.missing": ("{n} of {all} parties not connected", "{all} 方中有 {n} 方未连接"),
    "health.party": ("Party", "参与方"),
    "health.role": ("Role", "角色"),
    "health.stream": ("Stream", "连接"),
    "health.up": ("connected", "已连接"),
    "health.down": ("not connected", "未连接"),
    "health.version": ("Version", "版本"),
    "health.differs": ("not the coordinator's", "与协调方不同"),
    "health.certificate": ("Certificate until", "证书有效期至"),
    "health.left": ("{time} left", "剩余 {time}"),
    "health.expired": ("EXPIRED", "已过期"),
    "health.not_seen": ("not seen since start", "启动后未见"),
    "health.software": ("Coordinator's software", "协调方软件版本"),
    "health.relay": ("Coordinator's certificate", "协调方证书"),
    "health.authority": ("Authority's certificate", "机构证书"),
    "health.revocations": ("Revoked consents", "授权撤销名单"),
    "health.list": ("list {n} of {issuer}, {revoked} revoked", "{issuer} 第 {n} 号名单，已撤销 {revoked} 项"),
    "health.list_fresh": ("fresh, until {until}", "有效，至 {until}"),
    "health.list_stale": (
        "STALE since {until}: nodes deny until a new one comes",
        "已过期（{until}）：新名单到达前节点一律拒绝",
    ),
    "health.list_none": ("no list at hand: nodes deny", "没有名单：节点一律拒绝"),
    "health.list_bad": ("the list at hand does not count: {code}", "现有名单无效：{code}"),
    "health.training": ("Last training", "最近一次训练"),
    "health.never": ("none in the log", "日志中没有"),
    "health.log": ("Log", "日志"),
    "health.log_state": ("{size} entries, {witnessed} of them witnessed", "{size} 条记录，其中 {witnessed} 条已见证"),
    "health.newest": ("Newest entry", "最新记录"),
    "role.bank": ("bank", "银行"),
    "role.data_node": ("data node", "数据节点"),
    "role.coordinator": ("coordinator", "协调方"),
    "role.consent_service": ("consent service", "授权服务"),
    "role.enterprise": ("enterprise", "企业"),
    "role.witness": ("witness", "见证方"),
    "role.tls": ("certificate", "证书"),
}
